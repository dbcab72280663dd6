import {
  type DocumentKind,
  documentOf,
  type DocumentReceipt,
  maxDocuments,
  type StoredDocument,
} from "../../broker/documents.js";
import type { Sql } from "../sql.js";

interface Row {
  readonly id: string;
  readonly stored: string;
}

export interface DocumentRow {
  readonly id: string;
  /** JSON; "" deletes. */
  readonly text: string;
  readonly ifVersion: number;
}

export function readDocuments(
  sql: Sql,
  { kind, ids }: { readonly kind: DocumentKind; readonly ids: readonly string[] | undefined },
): StoredDocument[] {
  const rows = (
    ids === undefined
      ? sql("SELECT id, stored FROM document WHERE kind = ? ORDER BY id").all(kind)
      : ids.toSorted().flatMap((id) => sql("SELECT id, stored FROM document WHERE kind = ? AND id = ?").all(kind, id))
  ) as Row[];
  return rows.flatMap(({ id, stored }) => documentOf(id, stored));
}

export function writeDocuments(
  sql: Sql,
  { kind, rows, nowMs }: { readonly kind: DocumentKind; readonly rows: readonly DocumentRow[]; readonly nowMs: number },
): DocumentReceipt[] {
  return rows.map(({ id, text, ifVersion }): DocumentReceipt => {
    const row = sql("SELECT id, stored FROM document WHERE kind = ? AND id = ?").get(kind, id) as Row | undefined;
    const version = row === undefined ? 0 : (documentOf(id, row.stored)[0]?.version ?? 1);
    if (version !== ifVersion) return { status: "conflict" };
    const next = Math.max(nowMs, version + 1);
    if (text === "") sql("DELETE FROM document WHERE kind = ? AND id = ?").run(kind, id);
    else if (row === undefined && count(sql, kind) >= maxDocuments) return { status: "full" };
    else sql("INSERT OR REPLACE INTO document (kind, id, stored) VALUES (?, ?, ?)").run(kind, id, `${next} ${text}`);
    return { status: "written", version: next };
  });
}

const count = (sql: Sql, kind: DocumentKind) =>
  (sql("SELECT count(*) AS documents FROM document WHERE kind = ?").get(kind) as { documents: number }).documents;
