import type { EnqueueReceipt } from "../broker/broker.js";
import { encodeMessage } from "../core/codec.js";
import { ceilToS } from "../core/duration.js";
import { HoldfastError } from "../core/errors.js";
import { groupedBy } from "../core/grouped-by.js";
import { idTimeMs } from "../core/ids.js";
import type { NewTask } from "../core/message.js";
import { type TaskState, taskStates } from "../core/state.js";
import { type Failed, textIn, throwFailed, throwProblems, unavailable, unreadable } from "./answers.js";
import { batches } from "./batches.js";
import { bucketOf } from "./done-ids.js";
import { keysOf, queuesKey } from "./keys.js";
import type { KnownQueues } from "./known-queues.js";
import { LinkError, type RedisLink, type Reply, type ScriptCall } from "./link.js";
import { type EnqueueRow, enqueue as enqueueCall } from "./scripts.gen.js";

interface Row extends EnqueueRow {
  readonly id: string;
  readonly message: Uint8Array;
  /** Its place in the list that was given. */
  readonly at: number;
}

/** Rows of one call, of one queue. */
interface Batch {
  readonly queue: string;
  readonly rows: readonly Row[];
}

/** As much of a link as it takes. */
export type Producer = Pick<RedisLink, "label" | "oneSlotPerCall" | "run">;

/** Rows that go out together: the server works on them while the next are encoded. */
const rowsTogether = 250;

/**
 * One call per queue and batch. They go out as they are encoded, and no reply is awaited before all are on their way.
 * Tasks whose calls succeeded are in, also when others' calls failed.
 */
export async function enqueue(
  link: Producer,
  tasks: readonly NewTask[],
  nowMs: number,
  timeoutMs: number,
  known: KnownQueues,
): Promise<EnqueueReceipt[]> {
  const queues = placesByQueue(tasks);
  const entering = link.oneSlotPerCall ? known.enter(link, [...queues.keys()], timeoutMs) : undefined;
  const sent = Array.from(portions(tasks, queues, nowMs), async (portion) => {
    const calls = portion.map((batch) => callOf(link, batch, nowMs));
    const taskIds = portion.flatMap(idsOf);
    const replies = await link.run(calls, { taskIds, timeoutMs }).catch(unavailable);
    return portion.map((batch, n) => ({ batch, reply: replies instanceof HoldfastError ? replies : replies[n]! }));
  });
  const receipts = Array.from<EnqueueReceipt>({ length: tasks.length });
  const failed: Failed[] = [];
  const problems: string[] = [];
  for (const { batch, reply } of (await Promise.all(sent)).flat()) {
    if (reply instanceof LinkError || reply instanceof HoldfastError) {
      failed.push({ error: reply, taskIds: idsOf(batch) });
      continue;
    }
    const answers = answersIn(link.label, reply, batch.rows.length);
    for (const [n, { at, id }] of batch.rows.entries()) {
      const receipt = receiptOf(link.label, id, answers[n]!);
      if (typeof receipt === "string") problems.push(receipt);
      else receipts[at] = receipt;
    }
  }
  const entry = await entering;
  if (entry !== undefined) failed.push({ error: entry, taskIds: [] });
  if (failed.length > 0) {
    known.clear();
    const enqueued = tasks.filter((_, at) => receipts[at]?.status === "enqueued");
    throwFailed(
      link.label,
      failed,
      enqueued.map(({ message }) => message.id),
    );
  }
  throwProblems(link.label, problems);
  return receipts;
}

const idsOf = ({ rows }: Batch) => rows.map(({ id }) => id);

function callOf(link: Producer, { queue, rows }: Batch, nowMs: number): ScriptCall {
  const keys = keysOf(queue);
  const nowNs = `${nowMs}000000`;
  return link.oneSlotPerCall
    ? enqueueCall({ ...keys, queues: keys.holdfast }, { queue: "", nowNs }, rows)
    : enqueueCall({ ...keys, queues: queuesKey }, { queue, nowNs }, rows);
}

const placesByQueue = (tasks: readonly NewTask[]): Map<string, number[]> =>
  groupedBy(tasks.keys(), (at) => tasks[at]!.message.queue);

/** Batches that go out together, each encoded when it is asked for. */
function* portions(
  tasks: readonly NewTask[],
  queues: ReadonlyMap<string, readonly number[]>,
  nowMs: number,
): Generator<readonly Batch[]> {
  let portion: Batch[] = [];
  let count = 0;
  for (const [queue, places] of queues) {
    for (const rows of batches(rowsAt(places, tasks, nowMs), (row) => row.message.length, rowsTogether)) {
      portion.push({ queue, rows });
      count += rows.length;
      if (count < rowsTogether) continue;
      yield portion;
      portion = [];
      count = 0;
    }
  }
  if (portion.length > 0) yield portion;
}

function* rowsAt(places: readonly number[], tasks: readonly NewTask[], nowMs: number): Generator<Row> {
  for (const at of places) yield rowOf(tasks[at]!, at, nowMs);
}

function rowOf(task: NewTask, at: number, nowMs: number): Row {
  const { message } = task;
  return { at, id: message.id, message: encodeMessage(message), special: specialOf(task, nowMs) };
}

/** Nearly all tasks are to be done at once, without more ado. */
function specialOf(task: NewTask, nowMs: number): string {
  const { message, processAtMs, uniqueForMs, atMostOnce, repeat, spooled = 0 } = task;
  const later = processAtMs > nowMs;
  if (!later && uniqueForMs <= 0 && !atMostOnce && !repeat) return "";
  const madeMs = repeat ? idTimeMs(message.id) : undefined;
  return [
    later ? ceilToS(processAtMs) : 0,
    ceilToS(uniqueForMs),
    atMostOnce ? 1 : 0,
    !repeat ? 0 : spooled > 0 ? Math.max(2, ceilToS(spooled)) : 1,
    madeMs === undefined ? "" : bucketOf(madeMs),
    uniqueForMs > 0 ? message.uniqueKey : "",
  ].join(",");
}

/** One that nobody knows may have been written into the hash of a task that came again: it runs where it is. */
const stateOf = (word: string): TaskState => taskStates.find((state) => state === word) ?? "pending";

/** One answer stands for all where they are the same. */
function answersIn(broker: string, reply: Reply | undefined, count: number): string[] {
  if (!Array.isArray(reply)) return Array.from<string>({ length: count }).fill(textIn(broker, reply));
  if (reply.length !== count) throw unreadable(broker);
  return reply.map((answer) => textIn(broker, answer));
}

/** A receipt, or what is wrong with a key in the way. */
function receiptOf(broker: string, id: string, answer: string): EnqueueReceipt | string {
  const rest = answer.slice(1);
  switch (answer.charAt(0)) {
    case "+":
      return { status: "enqueued", id, state: stateOf(rest) };
    case "d":
      return { status: "duplicate", id: rest };
    case "t":
      return { status: "idTaken", id };
    case "!":
      return rest;
    default:
      throw unreadable(broker);
  }
}
