import { type EvictionCause, evictionCauses, type EvictionReceipt, type SeenLetter } from "../../broker/eviction.js";
import type { Act } from "../../broker/roles.js";
import { ceilToS } from "../../core/duration.js";
import { recordAct } from "../acts.js";
import { rememberFinished } from "../finished.js";
import { deleteTask } from "../move.js";
import type { Sql } from "../sql.js";
import { Tally } from "../tally.js";

export interface EvictCall {
  readonly queue: string;
  readonly letters: readonly SeenLetter[];
  readonly cause: EvictionCause;
  readonly by: Act;
  readonly nowMs: number;
}

export function evict(sql: Sql, { queue, letters, cause, by, nowMs }: EvictCall): EvictionReceipt[] {
  const tally = new Tally();
  const gone: string[] = [];
  const receipts = letters.map(({ id, archivedAtMs, message }): EvictionReceipt => {
    const row = sql("SELECT rank, message FROM task WHERE queue = ? AND id = ? AND state = 'archived'").get(
      queue,
      id,
    ) as { rank: number; message: Uint8Array } | undefined;
    if (row === undefined) return "notFound";
    if (row.rank * 1_000 !== archivedAtMs || Buffer.compare(row.message, message) !== 0) return "changed";
    deleteTask(sql, { queue, id, message });
    tally.moved(queue, "archived", undefined);
    gone.push(id);
    return "evicted";
  });
  if (gone.length === 0) return receipts;
  tally.write(sql, nowMs);
  rememberFinished(
    sql,
    gone.map((id) => ({ queue, id })),
    nowMs,
  );
  sql(
    "INSERT INTO evicted (queue, cause, count) VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET count = count + excluded.count",
  ).run(queue, cause, gone.length);
  const verb = cause.startsWith("spill") ? "spill" : "evict";
  recordAct(sql, queue, { verb, what: gone, count: gone.length }, by, nowMs);
  return receipts;
}

export function evicted(
  sql: Sql,
  { queues }: { readonly queues: readonly string[] },
): Partial<Record<EvictionCause, number>>[] {
  const known: readonly string[] = evictionCauses;
  return queues.map((queue) => {
    const rows = sql("SELECT cause, count FROM evicted WHERE queue = ?").all(queue) as {
      cause: string;
      count: number;
    }[];
    return Object.fromEntries(
      rows.filter(({ cause }) => known.includes(cause)).map(({ cause, count }) => [cause, count]),
    );
  });
}

export function diedSince(
  sql: Sql,
  { queues, timesMs }: { readonly queues: readonly string[]; readonly timesMs: readonly number[] },
): number[][] {
  const counting = sql("SELECT count(*) AS letters FROM task WHERE queue = ? AND state = 'archived' AND rank >= ?");
  return queues.map((queue) => timesMs.map((ms) => (counting.get(queue, ceilToS(ms)) as { letters: number }).letters));
}
