import { isUtf8 } from "node:buffer";
import type { TaskRef } from "../broker/broker.js";
import { standingMark, storedCopies, storedMark } from "../broker/stored-marks.js";
import { toldOf } from "../broker/told.js";
import { decodeMessage } from "../core/codec.js";
import { lastTimeMs } from "../core/duration.js";
import { readable } from "../core/protobuf.js";
import type { QueueInfo, TaskInfo } from "../core/info.js";
import { inTrips, portions } from "../core/portions.js";
import { storedJson } from "../core/stored-json.js";
import type { TaskState } from "../core/state.js";
import { countOf, listOf, timeOf, totalOf } from "./answers.js";
import { keysOf, queuesKey, setsOf, taskKey } from "./keys.js";
import { LinkError, type RedisLink, type Reply } from "./link.js";
import { queues as queuesCall } from "./scripts.gen.js";

const valuesPerQueue = 22;
const queuesPerCall = 50;
export const queuesPerTrip = 500;
/** Groups of one queue that are counted; asynq counts them all, however many. */
export const maxGroups = 1_000;

export async function queues(link: RedisLink, nowMs: number, wanted?: readonly string[]): Promise<QueueInfo[]> {
  const names = (wanted === undefined ? await allQueues(link) : await existing(link, [...new Set(wanted)])).toSorted();
  const perCall = link.oneSlotPerCall ? 1 : queuesPerCall;
  const calls = portions(names, perCall).map((some) => queuesCall(some.map(keysOf), { maxGroups }));
  const values = await inTrips(calls, queuesPerTrip / perCall, async (some) =>
    (await link.run(some)).flatMap((reply) => listOf(link.label, reply)),
  );
  return names.map((name, n) => queueInfo(name, values.slice(n * valuesPerQueue, (n + 1) * valuesPerQueue), nowMs));
}

export async function allQueues(link: RedisLink): Promise<string[]> {
  const [members] = await link.run([{ name: "SMEMBERS", args: [queuesKey] }]);
  return listOf(link.label, members).map(String);
}

/** Those that there are, in their order. */
export async function existing(link: RedisLink, wanted: readonly string[]): Promise<string[]> {
  if (wanted.length === 0) return [];
  const [known] = await link.run([{ name: "SMISMEMBER", args: [queuesKey, ...wanted] }]);
  const there = listOf(link.label, known);
  return wanted.filter((_, n) => there[n] === 1);
}

/** Reads what the script tells of one queue. */
export function queueInfo(name: string, values: readonly Reply[], nowMs: number): QueueInfo {
  const counted = values.slice(0, 11).map(totalOf);
  const [paused = 0, pending = 0, active = 0, scheduled = 0, retry = 0, archived = 0, aside = 0, completed = 0] =
    counted;
  const [aggregating = 0, processed = 0, failed = 0] = counted.slice(8);
  const texts = values.slice(11).map(String);
  const [since = "", lease, dueScheduled, dueRetry, oldest, oldestAside, expiring] = texts;
  const sinceMs = /^\d{7,}$/.test(since) ? Math.min(Number(since.slice(0, -6)), lastTimeMs) : undefined;
  return {
    name,
    paused: paused === 1,
    pause: paused === 1 ? pauseOf(texts.slice(7)) : undefined,
    counts: { pending, active, scheduled, retry, archived: archived + aside, completed, aggregating },
    processed,
    failed,
    latencyMs: sinceMs === undefined ? 0 : Math.max(0, nowMs - sinceMs),
    earliestAtMs: {
      ...(sinceMs === undefined ? {} : { pending: sinceMs }),
      ...earliest("active", lease),
      ...earliest("scheduled", dueScheduled),
      ...earliest("retry", dueRetry),
      ...earliest("archived", oldest),
      // Where there are any, they are older.
      ...earliest("archived", oldestAside),
      ...earliest("completed", expiring),
    },
  };
}

function earliest(state: TaskState, score = ""): Partial<Record<TaskState, number>> {
  return score === "" ? {} : { [state]: timeOf(score) };
}

/** Our own note is of this pause only if it was written with it: a Go program that resumes leaves it there. */
function pauseOf([pausedS = "", since, actor = "", reason = ""]: readonly string[]): QueueInfo["pause"] {
  if (!/^\d{1,12}$/.test(pausedS)) return undefined;
  const pause = { atMs: Number(pausedS) * 1_000 };
  return since === pausedS ? { ...pause, actor, reason } : pause;
}

/** What `infoFrom` reads of a task's hash. */
export const taskFields = [
  "msg",
  "state",
  "result",
  "hf_failure",
  "hf_crashes",
  "hf_progress",
  "hf_ack",
  "hf_restored",
  "hf_copies",
  "hf_quarantine",
] as const;

/** Two trips: the tasks, and the times of those whose state has one. `whole`: with their earlier failures. */
export async function find(
  link: RedisLink,
  refs: readonly TaskRef[],
  { whole }: { readonly whole: boolean } = { whole: true },
): Promise<(TaskInfo | undefined)[]> {
  const asking = whole ? [...taskFields, "hf_history"] : taskFields;
  const hashes = await link.run(
    refs.map(({ queue, id }) => ({ name: "HMGET", args: [taskKey(queue, id), ...asking] })),
  );
  const found = hashes.map((hash) => storedTask(hash));
  const asked = refs.flatMap((ref, at) =>
    setsFor(found[at]?.state, ref.queue).map((key) => ({ at, command: { name: "ZSCORE", args: [key, ref.id] } })),
  );
  const scores = await link.run(asked.map(({ command }) => command));
  const timeAt = new Map<number, number>();
  for (const [n, { at }] of asked.entries()) {
    const score = scores[n];
    if (Buffer.isBuffer(score)) timeAt.set(at, timeOf(String(score)));
  }
  return refs.map((ref, at) => found[at] && infoOf(ref, found[at], timeAt.get(at), whole));
}

interface StoredTask {
  readonly bytes: Buffer;
  readonly state: TaskState;
  readonly result: Buffer | undefined;
  readonly failure: string | undefined;
  readonly history: string | undefined;
  readonly crashes: number;
  readonly progress: unknown;
  readonly acknowledged: string | undefined;
  readonly restored: string | undefined;
  readonly copies: string | undefined;
  readonly quarantined: string | undefined;
}

/** A task by the values of its hash, in the order of `taskFields`, and when it died or is due; undefined where it is none. */
export function infoFrom(ref: TaskRef, values: readonly Reply[], atMs: number | undefined): TaskInfo | undefined {
  const task = storedTask([...values]);
  return task && infoOf(ref, task, atMs, false);
}

/** What is no task (a key of another type, a hash without a message) is not found. */
function storedTask(hash: Reply): StoredTask | undefined {
  // A refusal is the server's; a wrong type is this key's alone.
  if (hash instanceof LinkError && hash.code !== "WRONGTYPE") throw hash.toError("redis");
  if (!Array.isArray(hash)) return undefined;
  const [bytes, state, result, failure, crashes, progress, acknowledged, restored, copies, quarantined, history] =
    hash.map((field) => (Buffer.isBuffer(field) ? field : undefined));
  if (bytes === undefined || state === undefined) return undefined;
  return {
    bytes,
    state: String(state) as TaskState,
    result,
    failure: failure?.toString(),
    history: history?.toString(),
    crashes: countOf(crashes),
    progress: storedJson(progress?.toString()),
    acknowledged: acknowledged?.toString(),
    restored: restored?.toString(),
    copies: copies?.toString(),
    quarantined: quarantined?.toString(),
  };
}

function setsFor(state: string | undefined, queue: string): string[] {
  return state !== undefined && Object.hasOwn(setsOf, state) ? setsOf[state as keyof typeof setsOf](queue) : [];
}

function infoOf({ queue, id }: TaskRef, task: StoredTask, atMs: number | undefined, whole: boolean): TaskInfo {
  const archived = task.state === "archived";
  const message = readable(decodeMessage, task.bytes);
  const archivedAtMs = archived ? atMs : undefined;
  const { history, ...told } = toldOf(id, { ...task, message, archivedAtMs });
  return {
    id,
    queue,
    state: task.state,
    message,
    bytes: task.bytes,
    dueAtMs: archived ? undefined : atMs,
    archivedAtMs,
    result: task.result,
    ...told,
    ...(whole ? { history } : {}),
    progress: task.state === "active" ? task.progress : undefined,
    crashes: task.crashes,
    acknowledged: archived ? standingMark(task.acknowledged, atMs) : undefined,
    restored: storedMark(task.restored),
    copies: storedCopies(task.copies),
    quarantined: storedMark(task.quarantined),
  };
}

/** An id as text, as far as it is text; one that is not cannot be asked for. */
export const idOf = (id: Buffer): string | undefined => (isUtf8(id) ? String(id) : undefined);
