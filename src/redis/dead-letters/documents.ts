import {
  type DocumentKind,
  documentOf,
  type DocumentReceipt,
  type DocumentWrite,
  maxDocuments,
  type StoredDocument,
  textOf,
} from "../../broker/documents.js";
import { listOf, unreadable } from "../answers.js";
import { documentsKey } from "../keys.js";
import type { Caller } from "../link.js";
import { document } from "../scripts.gen.js";

export async function readDocuments(
  link: Caller,
  kind: DocumentKind,
  ids: readonly string[] | undefined,
): Promise<StoredDocument[]> {
  if (ids?.length === 0) return [];
  const key = documentsKey(kind);
  const [reply] = await link.run([
    ids === undefined ? { name: "HGETALL", args: [key] } : { name: "HMGET", args: [key, ...ids] },
  ]);
  const texts = listOf(link.label, reply).map((text) => (text === null ? "" : String(text)));
  const pairs =
    ids === undefined
      ? texts.flatMap((id, n) => (n % 2 === 0 ? [[id, texts[n + 1] ?? ""] as const] : []))
      : ids.map((id, n) => [id, texts[n] ?? ""] as const);
  return pairs.flatMap(([id, text]) => documentOf(id, text)).toSorted((a, b) => (a.id < b.id ? -1 : 1));
}

export async function writeDocuments(
  link: Caller,
  kind: DocumentKind,
  writes: readonly DocumentWrite[],
  nowMs: number,
): Promise<DocumentReceipt[]> {
  if (writes.length === 0) return [];
  const rows = writes.map(({ id, value, ifVersion }) => ({
    id,
    ifVersion: String(ifVersion),
    text: textOf(id, value),
  }));
  const call = document({ documents: documentsKey(kind) }, { nowMs, most: maxDocuments }, rows);
  const [reply] = await link.run([call]);
  const answers = listOf(link.label, reply);
  return writes.map((_, n) => receiptOf(link.label, String(answers[n])));
}

function receiptOf(broker: string, answer: string): DocumentReceipt {
  if (answer === "c") return { status: "conflict" };
  if (answer === "f") return { status: "full" };
  if (!/^\d{1,16}$/.test(answer)) throw unreadable(broker);
  return { status: "written", version: Number(answer) };
}
