import type { ChainEnd, LogPlace, SealedText, Sealing } from "../broker/audit.js";
import type { Sql } from "./sql.js";

const lastOf = (sql: Sql) => sql("SELECT n, hash FROM sealed ORDER BY n DESC LIMIT 1").get() as ChainEnd | undefined;

export function sealing(sql: Sql, _args: object): Sealing {
  const rows = sql("SELECT log, id, number FROM sealed_place").all() as (LogPlace & { number: number | null })[];
  const { count } = sql("SELECT count(*) AS count FROM sealed").get() as { count: number };
  return {
    places: rows.map(({ log, id, number }) => ({ log, id, number: number ?? undefined })),
    head: sql("SELECT n, hash FROM sealed_head").get() as ChainEnd | undefined,
    last: lastOf(sql),
    count,
  };
}

export interface SealCall {
  readonly records: readonly SealedText[];
  readonly after: ChainEnd | undefined;
  readonly places: readonly LogPlace[];
}

export function seal(sql: Sql, { records, after, places }: SealCall): boolean {
  const last = lastOf(sql);
  if (last?.n !== after?.n || last?.hash !== after?.hash) return false;
  for (const { n, hash, text } of records)
    sql("INSERT INTO sealed (n, hash, record) VALUES (?, ?, ?)").run(n, hash, text);
  for (const { log, id, number } of places)
    sql("INSERT OR REPLACE INTO sealed_place (log, id, number) VALUES (?, ?, ?)").run(log, id, number ?? null);
  const { n, hash } = records.at(-1)!;
  sql("INSERT OR REPLACE INTO sealed_head (one, n, hash) VALUES (1, ?, ?)").run(n, hash);
  return true;
}

export function sealed(sql: Sql, { from, limit }: { readonly from: number; readonly limit: number }): SealedText[] {
  return sql("SELECT n, hash, record AS text FROM sealed WHERE n >= ? ORDER BY n LIMIT ?").all(
    from,
    limit,
  ) as SealedText[];
}

export function trimSealed(sql: Sql, { before }: { readonly before: number }): void {
  sql("DELETE FROM sealed WHERE n < ?").run(before);
}
