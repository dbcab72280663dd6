import type { Sql } from "./sql.js";

export function pending(sql: Sql, { queues: names }: { readonly queues: readonly string[] }): number[] {
  return names.map((name) => {
    const row = sql("SELECT pending FROM queue WHERE name = ?").get(name) as { pending: number } | undefined;
    return row?.pending ?? 0;
  });
}
