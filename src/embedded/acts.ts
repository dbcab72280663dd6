import type { Act } from "../broker/roles.js";
import type { Sql } from "./sql.js";

/** What is kept of the acts on one queue: the last so many. */
const actsKept = 10_000;

export interface Deed {
  readonly verb: "run" | "archive" | "delete" | "payload" | "pause" | "resume" | "drop" | "cancel";
  /** The tasks it was done to, or the state they were in; neither where it was done to the queue. */
  readonly what: readonly string[] | string;
  /** How many tasks. */
  readonly count: number;
}

/** To be called in the transaction that does it. */
export function recordAct(sql: Sql, queue: string, { verb, what, count }: Deed, by: Act, nowMs: number): void {
  const last = sql("SELECT max(number) AS number FROM act WHERE queue = ?").get(queue) as { number: number | null };
  const number = (last.number ?? 0) + 1;
  sql(
    "INSERT INTO act (queue, number, at_ms, verb, what, count, actor, reason, request_id) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
  ).run(
    queue,
    number,
    nowMs,
    verb,
    typeof what === "string" ? what : JSON.stringify(what),
    count,
    by.actor,
    by.reason,
    by.requestId,
  );
  sql("DELETE FROM act WHERE queue = ? AND number <= ?").run(queue, number - actsKept);
}
