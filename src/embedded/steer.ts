import type { Cancellation, TaskRef } from "../broker/broker.js";
import type { Act, CancelReceipt, DropReceipt, PauseReceipt, UpdateReceipt } from "../broker/roles.js";
import { messageWithPayload } from "../broker/steered.js";
import { decodeMessage, encodeMessage } from "../core/codec.js";
import { floorToS } from "../core/duration.js";
import { recordAct } from "./acts.js";
import { dropTrash } from "./dead-letters/trash.js";
import { readable } from "../core/protobuf.js";
import { rememberFinished } from "./finished.js";
import { giveBackLock, lockHolder, takeLock } from "./locks.js";
import { deleteTask } from "./move.js";
import type { Sql } from "./sql.js";
import { type StoredState, Tally } from "./tally.js";

export interface UpdateCall {
  readonly task: TaskRef;
  readonly payload: Uint8Array;
  readonly by: Act;
  readonly nowMs: number;
}

const waiting: readonly string[] = ["pending", "scheduled", "retry"];

export function updatePayload(sql: Sql, { task, payload, by, nowMs }: UpdateCall): UpdateReceipt {
  const { queue, id } = task;
  const row = sql("SELECT state, message FROM task WHERE queue = ? AND id = ?").get(queue, id);
  if (row === undefined) return "notFound";
  const { state, message: bytes } = row as { state: StoredState; message: Uint8Array };
  const message = readable(decodeMessage, bytes);
  if (!waiting.includes(state) || message === undefined) return "wrongState";
  const next = messageWithPayload(message, payload);
  if (next.uniqueKey !== message.uniqueKey) {
    const holder = lockHolder(sql, next.uniqueKey, nowMs);
    if (holder !== undefined && holder !== id) return "duplicate";
    const untilMs = giveBackLock(sql, message.uniqueKey, id);
    if (untilMs !== undefined) takeLock(sql, next.uniqueKey, id, untilMs);
  }
  sql("UPDATE task SET message = ? WHERE queue = ? AND id = ?").run(encodeMessage(next), queue, id);
  recordAct(sql, queue, { verb: "payload", what: [id], count: 1 }, by, nowMs);
  return "updated";
}

export interface PauseCall {
  readonly queues: readonly string[];
  readonly paused: boolean;
  readonly by: Act;
  readonly nowMs: number;
}

export function setPaused(sql: Sql, { queues, paused, by, nowMs }: PauseCall): PauseReceipt[] {
  return queues.map((queue) => {
    if (sql("SELECT 1 FROM queue WHERE name = ?").get(queue) === undefined) return "notFound";
    if (!(paused ? pauseQueue(sql, queue, by, nowMs) : resumeQueue(sql, queue))) return "unchanged";
    recordAct(sql, queue, { verb: paused ? "pause" : "resume", what: "", count: 0 }, by, nowMs);
    return "changed";
  });
}

function pauseQueue(sql: Sql, queue: string, { actor, reason }: Act, nowMs: number): boolean {
  const { changes } = sql(
    "UPDATE queue SET paused = 1, paused_ms = ?, pause_actor = ?, pause_reason = ? WHERE name = ? AND paused = 0",
  ).run(floorToS(nowMs) * 1_000, actor, reason, queue);
  return Number(changes) > 0;
}

function resumeQueue(sql: Sql, queue: string): boolean {
  const { changes } = sql(
    "UPDATE queue SET paused = 0, paused_ms = NULL, pause_actor = NULL, pause_reason = NULL WHERE name = ? AND paused <> 0",
  ).run(queue);
  return Number(changes) > 0;
}

export interface DropCall {
  readonly queue: string;
  readonly force: boolean;
  readonly limit: number;
  readonly by: Act;
  readonly nowMs: number;
}

/** The acts on the queue stay: they say who dropped it. */
export function dropQueue(sql: Sql, { queue, force, limit, by, nowMs }: DropCall): DropReceipt {
  // By what is there: another program may have written tasks without counting them, or counted what is not there.
  const isThere = (text: string) => sql(text).get(queue) !== undefined;
  // What was discarded may still be restored.
  const holdsTasks =
    isThere("SELECT 1 FROM task WHERE queue = ? LIMIT 1") || isThere("SELECT 1 FROM trash WHERE queue = ? LIMIT 1");
  if (!holdsTasks && !isThere("SELECT 1 FROM queue WHERE name = ?")) return "notFound";
  if (isThere("SELECT 1 FROM task WHERE queue = ? AND state = 'active' LIMIT 1")) return "active";
  if (holdsTasks && !force) return "notEmpty";
  const tasks = sql("SELECT queue, id, state, message FROM task WHERE queue = ? ORDER BY id LIMIT ?").all(
    queue,
    limit + 1,
  ) as (TaskRef & { state: StoredState; message: Uint8Array })[];
  const more = tasks.length > limit;
  if (more) tasks.pop();
  const tally = new Tally();
  for (const task of tasks) {
    deleteTask(sql, task);
    tally.moved(queue, task.state, undefined);
  }
  rememberFinished(sql, tasks, nowMs);
  tally.write(sql, nowMs);
  recordAct(sql, queue, { verb: "drop", what: "", count: tasks.length }, by, nowMs);
  if (more || !dropTrash(sql, queue, limit - tasks.length)) {
    pauseQueue(sql, queue, by, nowMs);
    return "more";
  }
  sql("DELETE FROM day WHERE queue = ?").run(queue);
  sql("DELETE FROM evicted WHERE queue = ?").run(queue);
  sql("DELETE FROM failure_group WHERE queue = ?").run(queue);
  sql("DELETE FROM outcome_count WHERE queue = ?").run(queue);
  sql("DELETE FROM queue WHERE name = ?").run(queue);
  return "dropped";
}

export interface CancelCall {
  readonly tasks: readonly TaskRef[];
  readonly how: Cancellation;
  readonly by: Act;
  readonly nowMs: number;
}

/** Anyone may have written something else there. */
export const wishIn = (stored: string | null | undefined): Cancellation | undefined =>
  stored === "retry" || stored === "archive" ? stored : undefined;

/** What was asked for last counts. */
export function cancel(sql: Sql, { tasks, how, by, nowMs }: CancelCall): CancelReceipt[] {
  const asked = new Map<string, string[]>();
  const receipts = tasks.map(({ queue, id }): CancelReceipt => {
    const { changes } = sql("UPDATE task SET cancel = ? WHERE queue = ? AND id = ? AND state = 'active'").run(
      how,
      queue,
      id,
    );
    if (Number(changes) === 0) {
      const found = sql("SELECT 1 FROM task WHERE queue = ? AND id = ?").get(queue, id);
      return found === undefined ? "notFound" : "notActive";
    }
    if (!asked.has(queue)) asked.set(queue, []);
    asked.get(queue)!.push(id);
    return "requested";
  });
  for (const [queue, ids] of asked) recordAct(sql, queue, { verb: "cancel", what: ids, count: ids.length }, by, nowMs);
  return receipts;
}

export function cancellations(
  sql: Sql,
  { tasks }: { readonly tasks: readonly TaskRef[] },
): (Cancellation | undefined)[] {
  return tasks.map(({ queue, id }) => {
    const row = sql("SELECT cancel FROM task WHERE queue = ? AND id = ?").get(queue, id);
    return wishIn((row as { cancel: string | null } | undefined)?.cancel);
  });
}
