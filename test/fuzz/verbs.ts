import type { LeasedTask } from "../../src/broker/broker.js";
import { encodeMessage } from "../../src/core/codec.js";
import type { QueueInfo, TaskInfo, WorkerInfo } from "../../src/core/info.js";
import { silent } from "../../src/core/log.js";
import { encodeRunning, encodeServer } from "../../src/core/worker-codec.js";
import { announce, workers } from "../../src/redis/announce.js";
import { cancel, cancellations } from "../../src/redis/cancel.js";
import { dropQueue } from "../../src/redis/drop-queue.js";
import { enqueue } from "../../src/redis/enqueue.js";
import { exchange } from "../../src/redis/exchange.js";
import { groups, history, memory, storage } from "../../src/redis/inspect.js";
import { KnownQueues } from "../../src/redis/known-queues.js";
import type { RedisLink, Reply } from "../../src/redis/link.js";
import { list } from "../../src/redis/list.js";
import { find, queues } from "../../src/redis/look.js";
import { promote, prune, reclaim } from "../../src/redis/maintain.js";
import { report } from "../../src/redis/report.js";
import { checkServer } from "../../src/redis/server-check.js";
import { promoteShared, pruneShared, reclaimShared } from "../../src/redis/share.js";
import { Spread } from "../../src/redis/spread.js";
import { move, setPaused } from "../../src/redis/steer.js";
import { updatePayload } from "../../src/redis/update-payload.js";
import { failure, message, newTask, settled } from "../support/builders.js";
import { mustBeOf, mustBeSane, verbTarget } from "./replies.js";

const nowMs = 1_800_000_000_000;
const names = ["one", "two"];
const by = { actor: "ann", reason: "", requestId: "r" };
const b = (text: string) => Buffer.from(text);
const bytes = encodeMessage(message({ id: "id-1", payload: b("payload") }));
const lease = { queue: "one", id: "id-1", token: "t", untilMs: nowMs };
const held: LeasedTask = { message: message(), lease, crashes: 0, returns: 0, atMostOnce: false };
const request = { workerId: "w", requestId: "r", queues: names, limit: 10, leaseMs: 30_000, suspects: 1 };

const inOne: LeasedTask = { ...held, lease: { ...lease, id: "id-2" } };
const inTwo: LeasedTask = { ...held, lease: { ...lease, queue: "two", id: "id-3" } };
const turn = {
  settle: [settled.completed(held), settled.retry(inOne, nowMs), settled.archived(inTwo)],
  lease: request,
};
const given: Reply[] = [
  b(`1 4 ${bytes.length} 2 4 0`),
  Buffer.concat([b("id-1"), bytes, b("id-2")]),
  [b("0"), b("1"), b("2"), b("1"), b("1")],
];
const note = [1, b("id-9"), b("there is no task of this id")];
const exchanged = (receipts: string): Reply => [b(receipts), note, 1, b("1"), b("2"), ...given];

async function turned(answer: ReturnType<typeof exchange>, count: number): Promise<void> {
  const reply = await answer;
  mustBeSane(reply);
  mustBeOf(reply.settled, count, ["settled", "leaseLost", "unavailable"]);
  mustBeOf([...reply.dry, ...reply.paused], reply.dry.length + reply.paused.length, names);
  for (const { lease: its, message: read, crashes, returns } of reply.leased) {
    mustBeOf([its.queue], 1, names);
    if (read === undefined || ![crashes, returns].every((times) => Number.isSafeInteger(times) && times >= 0))
      throw new Error("a task that is none");
  }
}

const twoTasks = [newTask({ id: "a", queue: "one" }), newTask({ id: "b", queue: "one" })];
const info = [
  0,
  5,
  1,
  2,
  3,
  4,
  5,
  6,
  7,
  b("8"),
  b("9"),
  b("1799999999000000000"),
  ...["1e9", "1", "", "inf", "2", "3"].map(b),
];
const queueOf = (paused: number): Reply[] => [
  paused,
  ...info.slice(1),
  ...["1799999999", "1799999999", "ann", "why"].map(b),
];
const fields = [bytes, b("retry"), b("result"), b(JSON.stringify(failure())), b("2"), b("[1]")];

function mustBeTask(task: TaskInfo | undefined): void {
  mustBeSane(task);
  if (task === undefined) return;
  for (const time of [task.dueAtMs, task.archivedAtMs])
    if (time !== undefined && Number.isNaN(new Date(time).getTime())) throw new Error(`${time} is no time`);
}

function mustBeQueue(queue: QueueInfo): void {
  mustBeSane(queue);
  for (const time of [...Object.values(queue.earliestAtMs ?? {}), queue.pause?.atMs ?? 0])
    if (Number.isNaN(new Date(time).getTime())) throw new Error(`${time} is no time`);
  for (const count of Object.values(queue.counts)) if (!(count >= 0)) throw new Error(`${count} tasks`);
}

const listed = (state: "pending" | "retry" | "archived" | "aggregating") => async (link: RedisLink) => {
  for (const backwards of [false, true]) {
    const page = await list(link, { queue: "one", state }, { limit: 100, cursor: "5 id", backwards });
    for (const task of page.items) mustBeTask(task);
    for (const cursor of [page.next, page.previous])
      if (cursor !== undefined && typeof cursor !== "string") throw new Error("no cursor");
  }
};

const serverInfo = encodeServer({
  host: "h",
  pid: 1,
  serverId: "s",
  concurrency: 2,
  queues: { one: 1 },
  strictPriority: false,
  status: "active",
  startedAtNs: 1_700_000_000_000_000_000n,
  activeWorkers: 1,
});
const times = { startedAtNs: 1_700_000_000_000_000_000n, deadlineNs: 1_800_000_000_000_000_000n };
const task = { host: "h", pid: 1, serverId: "s", taskId: "t", type: "t", payload: b("p"), queue: "one", ...times };
const worker: WorkerInfo = {
  id: "h:1:s",
  host: "h",
  pid: 1,
  concurrency: 2,
  queues: { one: 1 },
  strictPriority: false,
  status: "active",
  startedAtMs: nowMs,
  running: [],
};
const infoText = b(
  "# Server\r\nredis_version:7.4.0\r\nredis_mode:standalone\r\n# Memory\r\nmaxmemory_policy:noeviction\r\n",
);

/**
 * What the test command takes of these: one reply costs each of them 20 to 200 µs of the processor, all but some 4 of them
 * in the code under test, so 100,000 of each would be two and a half minutes. The others cost less, and have 100,000.
 */
const dear = 5_000;

/** Whatever src/redis makes of replies. */
export const verbTargets = [
  verbTarget({
    name: "exchange",
    few: dear,
    honest: [{ exchange: exchanged("sls") }, { exchange: exchanged("sww") }, { exchange: exchanged("bbb") }],
    call: async (link) => turned(exchange(link, turn, nowMs), 3),
  }),
  verbTarget({
    name: "exchange on a Cluster",
    few: dear,
    apart: true,
    honest: [
      { exchange: [b("s"), [], 0], LLEN: 3, EXISTS: 0, LINDEX: b("r") },
      { exchange: [b("l"), note, 0, b("1"), b("")], LLEN: 0, EXISTS: 0, LINDEX: null },
      { exchange: exchanged("l"), LLEN: 9, EXISTS: 1, LINDEX: null },
    ],
    call: async (link) =>
      turned(new Spread(link, 1_000, () => {}).exchange({ ...turn, settle: turn.settle.slice(1) }, nowMs), 2),
  }),
  verbTarget({
    name: "enqueue",
    few: dear,
    honest: [{ enqueue: [b("+pending"), b("dother")] }, { enqueue: [b("t"), b("!a key is in the way")] }],
    call: async (link) => {
      const receipts = await enqueue(link, twoTasks, nowMs, 1_000, new KnownQueues());
      mustBeSane(receipts);
      mustBeOf(
        receipts.map(({ status }) => status),
        2,
        ["enqueued", "duplicate", "idTaken"],
      );
      for (const one of receipts)
        if (one.status === "enqueued")
          mustBeOf([one.state], 1, ["pending", "scheduled", "completed", "active", "retry", "archived", "aggregating"]);
    },
  }),
  ...[reclaim, reclaimShared].map((verb) =>
    verbTarget({
      name: verb.name,
      few: dear,
      apart: verb === reclaimShared,
      honest: [
        { reclaim: [note, 1, b("id-1"), b("pending"), 1, 1, b("id-2"), b("archived"), 3] },
        { reclaim: [[1, b(""), b("no")]] },
      ],
      call: async (link) => {
        const receipts = await verb(link, names, 10, nowMs);
        mustBeSane(receipts);
        for (const { queue, to } of receipts) mustBeOf([queue, to], 2, [...names, "pending", "archived"]);
      },
    }),
  ),
  ...[promote, promoteShared].map((verb) =>
    verbTarget({
      name: verb.name,
      ...(verb === promoteShared ? { few: dear } : {}),
      apart: verb === promoteShared,
      honest: [{ promote: [3, b("1800000000"), note] }, { promote: [0, b(""), []] }],
      call: async (link) => {
        const { moved, nextDueMs = 0 } = await verb(link, names, 10, nowMs);
        if (!(moved >= 0) || Number.isNaN(new Date(nextDueMs).getTime()))
          throw new Error(`${moved} moved, ${nextDueMs}`);
      },
    }),
  ),
  ...[prune, pruneShared].map((verb) =>
    verbTarget({
      name: verb.name,
      apart: verb === pruneShared,
      honest: [{ prune: [3, note] }, { prune: [0, [1, b(""), b("no")]] }],
      call: async (link) => {
        const count = await verb(link, names, 10, nowMs);
        if (!(count >= 0)) throw new Error(`${count} pruned`);
      },
    }),
  ),
  verbTarget({
    name: "queues",
    few: dear,
    honest: [{ SMEMBERS: names.map(b), queues: [...queueOf(1), ...queueOf(0)] }],
    call: async (link) => (await queues(link, nowMs)).forEach(mustBeQueue),
  }),
  verbTarget({
    name: "queues by name",
    few: dear,
    honest: [{ SMISMEMBER: [1, 0], queues: queueOf(1) }],
    call: async (link) => (await queues(link, nowMs, names)).forEach(mustBeQueue),
  }),
  verbTarget({
    name: "find",
    few: dear,
    forgives: true,
    honest: [
      { HMGET: fields, ZSCORE: b("1800000000") },
      { HMGET: [bytes, b("archived"), null, null, null, null], ZSCORE: null },
    ],
    call: async (link) => {
      const found = await find(link, [lease, { queue: "two", id: "x" }]);
      if (found.length !== 2) throw new Error("not an answer for each");
      for (const one of found) mustBeTask(one);
    },
  }),
  verbTarget({
    name: "list of pending",
    few: dear,
    honest: [{ line: [4, 1, ["a", "b", "c", "d"].map(b)], HMGET: fields.with(1, b("pending")) }],
    call: listed("pending"),
  }),
  verbTarget({
    name: "list of retry",
    few: dear,
    honest: [
      {
        page: [[1, [b("a"), b("1"), b("b"), b("inf"), b("c"), b("3.5"), b("d"), b("4")]]],
        HMGET: fields,
        ZSCORE: b("4"),
      },
    ],
    call: listed("retry"),
  }),
  verbTarget({
    name: "list of aggregating",
    few: dear,
    honest: [{ SMEMBERS: [b("g")], page: [[0, [b("a"), b("1")]]], HMGET: fields.with(1, b("aggregating")) }],
    call: listed("aggregating"),
  }),
  verbTarget({
    name: "move by ids",
    few: dear,
    honest: [{ move: [b("mnw"), 1, 0, b(""), []] }, { move: [b("mma"), 2, 0, b(""), note] }],
    call: async (link) => {
      const receipt = await move(link, { queue: "one", ids: ["a", "b", "c"] }, "pending", by, { limit: 10 }, nowMs);
      if (!("receipts" in receipt)) throw new Error("no receipts");
      mustBeOf(receipt.receipts, 3, ["moved", "notFound", "wrongState"]);
    },
  }),
  verbTarget({
    name: "move by state",
    honest: [{ move: [b(""), 5, 1, b("1800000000"), note] }, { move: [b(""), 5, 1, b(""), []] }],
    call: async (link) =>
      mustBeSane(await move(link, { queue: "one", state: "retry" }, "pending", by, { limit: 10 }, nowMs)),
  }),
  verbTarget({
    name: "updatePayload",
    few: dear,
    honest: [
      { HGET: bytes, update: b("updated") },
      { HGET: bytes, update: b("changed") },
      { HGET: null, update: b("a key is in the way") },
    ],
    call: async (link) =>
      mustBeOf([await updatePayload(link, lease, b("x"), by, nowMs)], 1, [
        "updated",
        "notFound",
        "wrongState",
        "duplicate",
      ]),
  }),
  verbTarget({
    name: "setPaused",
    honest: [
      { SMISMEMBER: [1, 1], pause: [1] },
      { SMISMEMBER: [0, 1], pause: [b("a key is in the way")] },
    ],
    call: async (link) =>
      mustBeOf(await setPaused(link, names, true, by, nowMs), 2, ["changed", "unchanged", "notFound"]),
  }),
  verbTarget({
    name: "dropQueue",
    few: dear,
    honest: [
      {
        SMEMBERS: [b("one"), b("one}:x")],
        drop: b("dropped"),
        XREVRANGE: [[b("1-0"), [b("n"), b("7")]]],
        append_acts: b("appended"),
        SREM: 1,
        EXISTS: 1,
        SADD: 1,
      },
      {
        SMEMBERS: [b("one"), b("one}:x")],
        drop: b("more"),
        XREVRANGE: [[b("1-0"), [b("n"), b("7")]]],
        append_acts: b("appended"),
        SREM: 1,
        EXISTS: 0,
        SADD: 1,
      },
    ],
    call: async (link) =>
      mustBeOf([await dropQueue(link, "one", { force: true, limit: 9 }, by, nowMs)], 1, [
        "dropped",
        "more",
        "notFound",
        "notEmpty",
        "active",
      ]),
  }),
  verbTarget({
    name: "cancel",
    few: dear,
    honest: [{ cancel: b("ran") }, { cancel: [b("a key is in the way")] }],
    call: async (link) => {
      const refs = ["a", "b", "c"].map((id) => ({ queue: "one", id }));
      mustBeOf(await cancel(link, refs, "retry", by, nowMs), 3, ["requested", "notActive", "notFound"]);
    },
  }),
  verbTarget({
    name: "hf_cancel",
    forgives: true,
    honest: [{ HGET: b("retry") }, { HGET: b("archive") }, { HGET: null }],
    call: async (link) => mustBeOf(await cancellations(link, [lease]), 1, ["retry", "archive", undefined]),
  }),
  verbTarget({ name: "report", honest: [{ report: 1 }], call: (link) => report(link, [{ lease, bytes: b("1") }]) }),
  verbTarget({
    name: "announce",
    few: dear,
    honest: [{ announce: null, beat: 2, ZRANGE: [b("asynq:servers:{h:1:s}")], GET: serverInfo }],
    call: async (link) => {
      const foreigners = new Map<string, readonly string[]>();
      // The number of all, and of ours, is the same reply here: strangers are met when it is none.
      mustBeSane(await announce(link, worker, 1_000, nowMs, foreigners));
    },
  }),
  verbTarget({
    name: "workers",
    few: dear,
    honest: [
      { ZRANGE: [b("asynq:servers:{h:1:s}"), b("asynq:servers:{}}")], GET: serverInfo, HVALS: [encodeRunning(task)] },
    ],
    call: async (link) => {
      for (const one of await workers(link, nowMs)) {
        mustBeSane(one);
        for (const time of [one.startedAtMs, ...one.running.flatMap((its) => [its.startedAtMs, its.limitAtMs])])
          if (Number.isNaN(new Date(time).getTime())) throw new Error(`${time} is no time`);
      }
    },
  }),
  verbTarget({
    name: "memory",
    honest: [{ memory: [12_345] }],
    call: async (link) => mustBeSane(await memory(link, names)),
  }),
  verbTarget({
    name: "history",
    honest: [{ MGET: [b("5"), null, b("1"), b("0")] }],
    call: async (link) => {
      const days = await history(link, names, 2, nowMs);
      mustBeSane(days);
      if (days.flat().some(({ processed, failed }) => processed === undefined || failed === undefined))
        throw new Error("a day without numbers");
    },
  }),
  verbTarget({
    name: "groups",
    honest: [{ SMEMBERS: [b("g"), b("h")], ZCARD: 3 }],
    call: async (link) => mustBeSane(await groups(link, "one")),
  }),
  verbTarget({
    name: "INFO",
    few: dear,
    honest: [
      { INFO: infoText, ACL: b("default"), SET: b("OK"), GET: b("1") },
      { INFO: b(`${String(infoText)}__proto__:x\r\n`), ACL: b("x"), SET: null, GET: null },
    ],
    call: async (link) => {
      await checkServer(link, { allowEviction: false, log: silent });
      for (const node of (await storage(link)).nodes)
        if (Object.values(node.fields).some((field) => typeof field !== "string")) throw new Error("no text");
    },
  }),
];
