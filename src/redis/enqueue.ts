import type { EnqueueReceipt } from "../broker/broker.js";
import { encodeMessage } from "../core/codec.js";
import { ceilToS } from "../core/duration.js";
import { idTimeMs } from "../core/ids.js";
import type { NewTask } from "../core/message.js";
import type { TaskState } from "../core/state.js";
import { type Failed, listOf, throwFailed, throwProblems } from "./answers.js";
import { batches } from "./batches.js";
import { bucketOf } from "./done-ids.js";
import { keysOf, queuesKey } from "./keys.js";
import { LinkError, type RedisLink, type Reply } from "./link.js";
import { type EnqueueRow, enqueue as enqueueCall } from "./scripts.gen.js";

interface Row extends EnqueueRow {
  readonly message: Uint8Array;
  /** Its place in the list that was given. */
  readonly at: number;
}

/**
 * Queues that are known to stand among all queues: that key is on one node of a Cluster, so it is not written with the
 * tasks but beside them, once in a while. Whatever fails makes all of it unsure: the server may have lost its data.
 */
export class KnownQueues {
  readonly #untilMs = new Map<string, number>();

  lacks(queue: string): boolean {
    return performance.now() > (this.#untilMs.get(queue) ?? Number.NEGATIVE_INFINITY);
  }

  add(queue: string): void {
    this.#untilMs.set(queue, performance.now() + knownForMs);
  }

  clear(): void {
    this.#untilMs.clear();
  }
}

const knownForMs = 60_000;

/** One call per queue and batch, all in one trip. Tasks whose calls succeeded are in, also when others' calls failed. */
export async function enqueue(
  link: RedisLink,
  tasks: readonly NewTask[],
  nowMs: number,
  timeoutMs: number,
  known: KnownQueues,
): Promise<EnqueueReceipt[]> {
  const sent = [...byQueue(tasks, nowMs)].flatMap(([queue, rows]) =>
    [...batches(rows, (row) => row.message.length)].map((batch) => ({ queue, batch })),
  );
  const nowNs = `${nowMs}000000`;
  const apart = link.oneSlotPerCall;
  const unknown = apart ? [...new Set(sent.map(({ queue }) => queue))].filter((queue) => known.lacks(queue)) : [];
  const calls = sent.map(({ queue, batch }) => {
    const keys = keysOf(queue);
    return apart
      ? enqueueCall({ ...keys, queues: keys.holdfast }, { queue: "", nowNs }, batch)
      : enqueueCall({ ...keys, queues: queuesKey }, { queue, nowNs }, batch);
  });
  const entered = unknown.length > 0 ? [{ name: "SADD", args: [queuesKey, ...unknown] }] : [];
  const taskIds = tasks.map(({ message }) => message.id);
  const replies = await link.run([...calls, ...entered], { taskIds, timeoutMs }).catch((error: unknown) => {
    known.clear();
    throw error;
  });
  const receipts = Array.from<EnqueueReceipt>({ length: tasks.length });
  const failed: Failed[] = [];
  const problems: string[] = [];
  for (const [n, { batch }] of sent.entries()) {
    const reply = replies[n]!;
    if (reply instanceof LinkError) {
      failed.push({ error: reply, taskIds: batch.map(({ at }) => tasks[at]!.message.id) });
      continue;
    }
    const answers = listOf(link.label, reply);
    for (const [k, { at }] of batch.entries()) {
      const receipt = receiptOf(tasks[at]!.message.id, answers[k]!);
      if (typeof receipt === "string") problems.push(receipt);
      else receipts[at] = receipt;
    }
  }
  const entry = replies[sent.length];
  if (entry instanceof LinkError) failed.push({ error: entry, taskIds: [] });
  else for (const queue of unknown) known.add(queue);
  if (failed.length > 0) known.clear();
  const enqueued = tasks.filter((_, at) => receipts[at]?.status === "enqueued");
  throwFailed(
    link.label,
    failed,
    enqueued.map(({ message }) => message.id),
  );
  throwProblems(link.label, problems);
  return receipts;
}

function byQueue(tasks: readonly NewTask[], nowMs: number): Map<string, Row[]> {
  const rowsByQueue = new Map<string, Row[]>();
  for (const [at, task] of tasks.entries()) {
    const { queue } = task.message;
    const rows = rowsByQueue.get(queue);
    const row = rowOf(task, at, nowMs);
    if (rows === undefined) rowsByQueue.set(queue, [row]);
    else rows.push(row);
  }
  return rowsByQueue;
}

function rowOf({ message, processAtMs, uniqueForMs, atMostOnce, repeat }: NewTask, at: number, nowMs: number): Row {
  const madeMs = repeat ? idTimeMs(message.id) : undefined;
  return {
    at,
    id: message.id,
    message: encodeMessage(message),
    dueS: processAtMs > nowMs ? ceilToS(processAtMs) : 0,
    lock: uniqueForMs > 0 ? message.uniqueKey : "",
    lockS: ceilToS(uniqueForMs),
    once: atMostOnce ? 1 : 0,
    again: repeat ? 1 : 0,
    made: madeMs === undefined ? "" : bucketOf(madeMs),
  };
}

/** A receipt, or what is wrong with a key in the way. */
function receiptOf(id: string, reply: Reply): EnqueueReceipt | string {
  const answer = String(reply);
  const rest = answer.slice(1);
  switch (answer.charAt(0)) {
    case "+":
      return { status: "enqueued", id, state: rest as TaskState };
    case "d":
      return { status: "duplicate", id: rest };
    case "t":
      return { status: "idTaken", id };
    default:
      return rest;
  }
}
