import type { LostLease } from "../broker/broker.js";
import type { Sql } from "./sql.js";

export interface ReportCall {
  readonly rows: readonly (LostLease & { readonly text: string })[];
}

/** Of who does not hold the lease any more nothing is written. */
export function report(sql: Sql, { rows }: ReportCall): undefined {
  const one = sql("UPDATE task SET progress = ? WHERE queue = ? AND id = ? AND token = ?");
  for (const { queue, id, token, text } of rows) one.run(text, queue, id, token);
}
