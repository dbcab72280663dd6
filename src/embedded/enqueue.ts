import type { EnqueueReceipt, TaskRef } from "../broker/broker.js";
import { ceilToS } from "../core/duration.js";
import { idTimeMs } from "../core/ids.js";
import { finishedLately } from "./finished.js";
import { Line } from "./line.js";
import { lockHolder, takeLock } from "./locks.js";
import { type Packed, unpack } from "./packed.js";
import type { Sql } from "./sql.js";
import { type StoredState, Tally } from "./tally.js";

/** A NewTask without its message, which travels as bytes. */
export interface NewRow extends TaskRef {
  readonly processAtMs: number;
  readonly uniqueKey: string;
  readonly uniqueForMs: number;
  readonly atMostOnce: boolean;
  readonly repeat: boolean;
}

export interface EnqueueCall {
  readonly rows: readonly NewRow[];
  readonly messages: Packed;
  readonly nowMs: number;
}

export function enqueue(sql: Sql, { rows, messages, nowMs }: EnqueueCall): EnqueueReceipt[] {
  const bytes = unpack(messages);
  const tally = new Tally();
  const line = new Line(sql);
  const receipts = rows.map((row, index): EnqueueReceipt => {
    const refused = refusal(sql, row, bytes[index]!, nowMs);
    if (refused !== undefined) return refused;
    const state = row.processAtMs > nowMs ? "scheduled" : "pending";
    const rank = state === "scheduled" ? ceilToS(row.processAtMs) : line.behind(row.queue);
    const { changes } = sql(
      "INSERT INTO task (queue, id, state, rank, since_ms, at_most_once, message) VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
    ).run(row.queue, row.id, state, rank, nowMs, row.atMostOnce ? 1 : 0, bytes[index]!);
    if (Number(changes) === 0) return { status: "idTaken", id: row.id };
    // Only now: a lock taken for a task that was not stored would shut out its successors for nothing.
    if (row.uniqueForMs > 0) takeLock(sql, row.uniqueKey, row.id, nowMs + ceilToS(row.uniqueForMs) * 1_000);
    tally.moved(row.queue, undefined, state);
    return { status: "enqueued", id: row.id, state };
  });
  tally.write(sql, nowMs);
  return receipts;
}

/** Why the task is not stored, or that it has been already. */
function refusal(sql: Sql, row: NewRow, message: Uint8Array, nowMs: number): EnqueueReceipt | undefined {
  const before = row.repeat ? answerAgain(sql, row, message, nowMs) : undefined;
  if (before !== undefined || row.uniqueForMs === 0) return before;
  const id = lockHolder(sql, row.uniqueKey, nowMs);
  if (id === undefined) return undefined;
  return row.repeat && id === row.id ? undefined : { status: "duplicate", id };
}

/**
 * The answer for a task that is there already, or has lately been. An id of ours is given once; one of the caller's own
 * may have been given to another task before, so there what is stored must be what was sent.
 */
function answerAgain(sql: Sql, { queue, id }: NewRow, message: Uint8Array, nowMs: number): EnqueueReceipt | undefined {
  const ours = idTimeMs(id) !== undefined;
  const stored = sql("SELECT state, message FROM task WHERE queue = ? AND id = ?").get(queue, id) as Stored | undefined;
  if (stored !== undefined) {
    const same = ours || Buffer.compare(stored.message, message) === 0;
    return same ? { status: "enqueued", id, state: stored.state } : { status: "idTaken", id };
  }
  return ours && finishedLately(sql, { queue, id }, nowMs) ? { status: "enqueued", id, state: "completed" } : undefined;
}

interface Stored {
  readonly state: StoredState;
  readonly message: Uint8Array;
}
