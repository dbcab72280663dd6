import { maxCrashes, type ReclaimReceipt } from "../broker/broker.js";
import { crashedAtMostOnce, failureText, quarantined } from "../broker/failures.js";
import { messageAfter } from "../broker/settled.js";
import { decodeMessage, encodeMessage } from "../core/codec.js";
import { floorToS, maxDurationMs } from "../core/duration.js";
import { HoldfastError } from "../core/errors.js";
import type { Failure } from "../core/outcome.js";
import { historyWithLast } from "./history.js";
import { Line } from "./line.js";
import { mustBeThere } from "./mend.js";
import type { Sql } from "./sql.js";
import { Tally } from "./tally.js";

export interface QueuesCall {
  readonly queues: readonly string[];
  readonly limit: number;
  readonly nowMs: number;
}

interface Expired {
  readonly id: string;
  readonly crashes: number;
  readonly at_most_once: number;
  readonly message: Uint8Array;
  readonly failure: string | null;
  readonly history: string | null;
}

/** Leases that ran out: to the front of the line, in the order in which they ran out, or to the archive. */
export function reclaim(sql: Sql, { queues, limit, nowMs }: QueuesCall): ReclaimReceipt[] {
  const tally = new Tally();
  const receipts: ReclaimReceipt[] = [];
  for (const queue of queues) {
    const expired = leasesThat(sql, "<=", queue, floorToS(nowMs), limit - receipts.length);
    // A lease that ends in a hundred years is none of ours.
    const endless = leasesThat(
      sql,
      ">",
      queue,
      floorToS(nowMs + maxDurationMs),
      limit - receipts.length - expired.length,
    );
    expired.push(...endless);
    let place = expired.length === 0 ? 0 : new Line(sql).before(queue, expired.length);
    for (const task of expired) {
      const crashes = Math.max(0, task.crashes) + 1;
      const failure = endOf(task, crashes, nowMs);
      if (failure === undefined) {
        const returned = sql(
          "UPDATE task SET state = 'pending', token = NULL, progress = NULL, rank = ?, since_ms = ?, crashes = ? WHERE queue = ? AND id = ?",
        );
        mustBeThere(returned.run(place++, nowMs, crashes, queue, task.id));
      } else {
        const archived = sql(
          "UPDATE task SET state = 'archived', token = NULL, cancel = NULL, progress = NULL, rank = ?, history = ?, failure = ?, message = ?, crashes = ? WHERE queue = ? AND id = ?",
        );
        const message = archivedMessage(task.message, failure, nowMs);
        const text = failureText(failure);
        const history = historyWithLast(task, text, false);
        mustBeThere(archived.run(floorToS(nowMs), history, text, message, crashes, queue, task.id));
        tally.processed(queue, true);
      }
      const to = failure === undefined ? "pending" : "archived";
      tally.moved(queue, "active", to);
      receipts.push({ queue, id: task.id, to, crashes });
    }
  }
  tally.write(sql, nowMs);
  return receipts;
}

function leasesThat(sql: Sql, end: "<=" | ">", queue: string, atS: number, limit: number): Expired[] {
  return sql(
    `SELECT id, crashes, at_most_once, message, failure, history FROM task WHERE queue = ? AND state = 'active' AND rank ${end} ? ORDER BY rank, id LIMIT ?`,
  ).all(queue, atS, limit) as Expired[];
}

/** Why the task does not run again by itself; `undefined` when it does. */
function endOf(task: Expired, crashes: number, nowMs: number): Failure | undefined {
  if (task.at_most_once === 1) return crashedAtMostOnce(nowMs);
  return crashes < maxCrashes ? undefined : quarantined(crashes, nowMs);
}

function archivedMessage(message: Uint8Array, failure: Failure, nowMs: number): Uint8Array {
  try {
    return encodeMessage(messageAfter(decodeMessage(message), { kind: "archived", failure }, nowMs)!);
  } catch (error) {
    if (!HoldfastError.is(error, "MESSAGE_INVALID")) throw error;
    return message; // It stays as it is, and stops nothing.
  }
}
