import { ceilToS, floorToS, lastTimeMs } from "../core/duration.js";
import type { RunningTask, WorkerInfo } from "../core/info.js";
import {
  decodeRunning,
  decodeServer,
  encodeRunning,
  encodeServer,
  type RunningRecord,
  type ServerRecord,
} from "../core/worker-codec.js";
import { portions } from "../core/portions.js";
import { type UnavailableWorker, unavailableWorkers, type WorkerList, workerList } from "../core/worker-list.js";
import { readable } from "../core/protobuf.js";
import { answersOf, isAway, listOf } from "./answers.js";
import { maxRows } from "./batches.js";
import { ownServersKey, runningKey, serverKey, serversKey, workersKey } from "./keys.js";
import { LinkError, type RedisLink, type Reply } from "./link.js";
import { announce as announceCall, beat as beatCall } from "./scripts.gen.js";

/** Who expired this long ago is taken out: other hosts' clocks may differ. */
const goneMs = 60_000;

const nsOf = (ms: number) => BigInt(Math.round(ms)) * 1_000_000n;
const msOf = (ns: bigint) => Math.min(lastTimeMs, Math.max(0, Number(ns / 1_000_000n)));

/** Queues of servers of other programs, by their keys: what a server works on does not change while it lives. */
export type Foreigners = Map<string, readonly string[]>;

/** One trip; with servers of other programs around a second one, and a third when one of them is new. */
export async function announce(
  link: RedisLink,
  worker: WorkerInfo,
  ttlMs: number,
  nowMs: number,
  foreigners: Foreigners,
): Promise<{ readonly shared: readonly string[] }> {
  const server = serverKey(worker.id);
  const running = runningKey(worker.id);
  const beat = (set: string, member: string) =>
    beatCall(
      { set },
      { member, untilS: floorToS(nowMs + ttlMs), nowS: floorToS(nowMs), goneS: floorToS(nowMs - goneMs) },
    );
  const [written, , servers, own] = await link.run([
    announceCall({ server, running }, { info: encodeServer(serverOf(worker)), ttlS: ceilToS(ttlMs) }, rowsOf(worker)),
    beat(workersKey, running),
    beat(serversKey, server),
    beat(ownServersKey, server),
  ]);
  for (const reply of [written, servers, own]) if (reply instanceof LinkError) throw reply.toError(link.label);
  if (Number(servers) <= Number(own)) foreigners.clear();
  else await meet(link, foreigners, nowMs);
  const theirs = new Set([...foreigners.values()].flat());
  return { shared: Object.keys(worker.queues).filter((queue) => theirs.has(queue)) };
}

export async function withdraw(link: RedisLink, { id }: WorkerInfo): Promise<void> {
  const [server, running] = [serverKey(id), runningKey(id)];
  await link.run([
    { name: "ZREM", args: [serversKey, server] },
    { name: "ZREM", args: [ownServersKey, server] },
    { name: "ZREM", args: [workersKey, running] },
    { name: "UNLINK", args: [server, running] },
  ]);
}

/** @throws BROKER_UNAVAILABLE also where nothing can be told of some */
export async function workers(link: RedisLink, nowMs: number): Promise<WorkerInfo[]> {
  const list = await workersThere(link, nowMs, () => {});
  if (list.unavailable.length > 0) throw unavailableWorkers(link.label, list.unavailable);
  return list;
}

/**
 * Of a Cluster those on nodes that answer, and which others there are. `onFailed` hears of what is not thrown.
 * @throws BROKER_UNAVAILABLE where nobody can tell which there are
 */
export async function workersThere(
  link: RedisLink,
  nowMs: number,
  onFailed: (error: unknown) => void,
): Promise<WorkerList> {
  const [living] = await link.run([livingIn(serversKey, nowMs)]);
  const ids = listOf(link.label, living).flatMap((key) => /^asynq:servers:\{(.+)\}$/s.exec(String(key))?.[1] ?? []);
  const found: WorkerInfo[] = [];
  const missing: UnavailableWorker[] = [];
  for (const some of portions(ids, maxRows)) {
    const replies = await answersOf(link, [
      ...some.map((id) => ({ name: "GET", args: [serverKey(id)] })),
      ...some.map((id) => ({ name: "HVALS", args: [runningKey(id)] })),
    ]);
    for (const [at, id] of some.entries()) {
      const tasks = replies[some.length + at]!;
      const refusal = [replies[at], tasks].find(isAway);
      if (refusal !== undefined) {
        onFailed(refusal.toError(link.label));
        // Their keys are on the slot that a queue of this name would have.
        missing.push({ id, shard: link.shardOf(id) ?? "", problem: refusal.problem });
        continue;
      }
      const server = decoded(decodeServer, replies[at]);
      if (server !== undefined) found.push(workerOf(id, server, Array.isArray(tasks) ? tasks : []));
    }
  }
  const inOrder = found.toSorted((a, b) => a.startedAtMs - b.startedAtMs || (a.id < b.id ? -1 : 1));
  return workerList(
    inOrder,
    missing.toSorted((a, b) => (a.id < b.id ? -1 : 1)),
  );
}

const livingIn = (set: string, nowMs: number) => ({
  name: "ZRANGE",
  args: [set, floorToS(nowMs), "+inf", "BYSCORE"],
});

/** Brings what is known of them up to date. */
export async function meet(link: RedisLink, foreigners: Foreigners, nowMs: number): Promise<void> {
  const [all, ours] = await link.run([livingIn(serversKey, nowMs), livingIn(ownServersKey, nowMs)]);
  const own = new Set(listOf(link.label, ours).map(String));
  const theirs = new Set(
    listOf(link.label, all)
      .map(String)
      .filter((key) => !own.has(key)),
  );
  for (const key of foreigners.keys()) if (!theirs.has(key)) foreigners.delete(key);
  const strangers = [...theirs].filter((key) => !foreigners.has(key));
  const infos = await link.run(strangers.map((key) => ({ name: "GET", args: [key] })));
  for (const [n, key] of strangers.entries()) {
    const server = decoded(decodeServer, infos[n]);
    if (server !== undefined) foreigners.set(key, Object.keys(server.queues));
  }
}

/** `undefined` for what is not there, not readable, or not what we take it for: anyone may write there. */
function decoded<T>(decode: (stored: Uint8Array) => T, reply: Reply | undefined): T | undefined {
  return Buffer.isBuffer(reply) ? readable(decode, reply) : undefined;
}

function serverOf(worker: WorkerInfo): ServerRecord {
  return {
    ...processOf(worker),
    concurrency: worker.concurrency,
    queues: worker.queues,
    strictPriority: worker.strictPriority,
    status: worker.status,
    startedAtNs: nsOf(worker.startedAtMs),
    activeWorkers: worker.running.length,
  };
}

const processOf = ({ id, host, pid }: WorkerInfo) => ({ host, pid, serverId: id.slice(`${host}:${pid}:`.length) });

const rowsOf = (worker: WorkerInfo) =>
  worker.running.map(({ id, type, queue, payload, startedAtMs, limitAtMs }) => {
    const times = { startedAtNs: nsOf(startedAtMs), deadlineNs: nsOf(limitAtMs) };
    return { id, task: encodeRunning({ ...processOf(worker), taskId: id, type, payload, queue, ...times }) };
  });

function workerOf(id: string, server: ServerRecord, tasks: readonly Reply[]): WorkerInfo {
  const { host, pid, concurrency, strictPriority, status, startedAtNs } = server;
  return {
    id,
    host,
    pid,
    concurrency,
    queues: { ...server.queues },
    strictPriority,
    status: status === "active" || status === "new" ? "active" : "stopped",
    startedAtMs: msOf(startedAtNs),
    running: tasks
      .flatMap((task) => decoded(decodeRunning, task) ?? [])
      .map(runningTask)
      .toSorted((a, b) => a.startedAtMs - b.startedAtMs),
  };
}

const runningTask = ({ queue, taskId, type, payload, startedAtNs, deadlineNs }: RunningRecord): RunningTask => ({
  queue,
  id: taskId,
  type,
  payload,
  startedAtMs: msOf(startedAtNs),
  limitAtMs: msOf(deadlineNs),
});
