import type { AuditEntry, NewAct } from "../broker/audit.js";
import type { Act } from "../broker/roles.js";
import type { Sql } from "./sql.js";

/** What is kept of the acts on one queue: the last so many. */
const actsKept = 10_000;

export interface Deed {
  readonly verb: string;
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

/** Of no queue, or of several. */
export function appendActs(
  sql: Sql,
  { acts, nowMs }: { readonly acts: readonly NewAct[]; readonly nowMs: number },
): void {
  for (const act of acts) recordAct(sql, "", act, act, nowMs);
}

/** Of those queues, too, that were dropped since. */
export function actLogs(sql: Sql, _args: object): string[] {
  const logs = [""];
  // A look at each name instead of at each act.
  for (;;) {
    const { next } = sql("SELECT min(queue) AS next FROM act WHERE queue > ?").get(logs.at(-1)!) as {
      next: string | null;
    };
    if (next === null) return logs;
    logs.push(next);
  }
}

export interface ReadActsCall {
  readonly logs: readonly { readonly log: string; readonly after?: string | undefined }[];
  readonly limit: number;
  readonly newest: boolean;
}

export function readActs(sql: Sql, { logs, limit, newest }: ReadActsCall): AuditEntry[][] {
  const some = sql(
    "SELECT number, at_ms, verb, what, count, actor, reason, request_id FROM act WHERE queue = ? AND number > ? " +
      `ORDER BY number ${newest ? "DESC" : "ASC"} LIMIT ?`,
  );
  return logs.map(({ log, after }) =>
    (some.all(log, Number(after ?? 0), limit) as ActRow[]).map(({ number, at_ms: atMs, request_id, ...row }) => {
      return { log, id: String(number), number, atMs, requestId: request_id, ...row };
    }),
  );
}

interface ActRow extends Omit<AuditEntry, "log" | "id" | "atMs" | "requestId"> {
  readonly number: number;
  readonly at_ms: number;
  readonly request_id: string;
}
