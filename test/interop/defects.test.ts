import { expect, it } from "vitest";
import type { Broker, LeasedTask, LeaseRequest, Turn } from "../../src/broker/broker.js";
import { archiveKeep } from "../../src/broker/broker.js";
import type { Act } from "../../src/broker/roles.js";
import { decodeMessage, encodeMessage } from "../../src/core/codec.js";
import { failureOf } from "../../src/core/outcome.js";
import { message, newTask, settled } from "../support/builders.js";
import { keyspace } from "../support/keyspace.js";
import { onRedis } from "../support/on-redis.js";
import { describeRedis, type RedisServer } from "../support/redis-server.js";
import { until } from "../support/until.js";

/** What goes wrong in asynq 0.26 (found by reading it and by running it), and does not here. */
describeRedis("defects of asynq", () => {
  let server: RedisServer;
  let broker: Broker;
  const nowS = Math.floor(Date.now() / 1_000);
  const nowMs = nowS * 1_000;
  const dayS = 86_400;

  onRedis((site) => ({ server, broker } = site), { appendonly: "yes", appendfsync: "always" }, "1s");

  let requests = 0;
  async function lease(fields: Partial<LeaseRequest> = {}): Promise<LeasedTask[]> {
    const request = {
      workerId: "w1",
      requestId: `request-${requests++}`,
      queues: ["default"],
      limit: 100,
      leaseMs: 30_000,
      suspects: 1,
      ...fields,
    };
    return (await broker.exchange({ settle: [], lease: request }, nowMs)).leased;
  }
  const settle = async (...settlements: Turn["settle"][number][]) =>
    (await broker.exchange({ settle: settlements }, nowMs)).settled;

  /** Dead letters `old-1`, `old-2` …, as `worker` archived them long ago. */
  async function archivedBefore(count: number, atS: number): Promise<void> {
    const pipeline = server.admin.pipeline();
    for (let n = 1; n <= count; n++) {
      const msg = encodeMessage(message({ id: `old-${n}` }));
      pipeline
        .hset(`asynq:{default}:t:old-${n}`, { msg, state: "archived" })
        .zadd("asynq:{default}:archived", atS, `old-${n}`);
    }
    await pipeline.exec();
  }

  it("an outcome that could not be written is written when Redis is back, and the task does not run again", async () => {
    await broker.enqueue([newTask({ id: "a" })], nowMs);
    const [a] = await lease();
    await server.kill();
    await expect(settle(settled.completed(a!))).rejects.toMatchObject({ code: "BROKER_UNAVAILABLE" });
    await server.start();

    const receipts = await until("the outcome is written", () => settle(settled.completed(a!)));

    expect(receipts).toEqual(["settled"]);
    expect(await broker.reclaim(["default"], 10, nowMs + 3_600_000)).toEqual([]);
    expect(await lease()).toEqual([]);
  });

  it("archiving works with more expired dead letters than Lua can unpack, and deletes none of them", async () => {
    await archivedBefore(8_100, nowS - 91 * dayS);
    await broker.enqueue([newTask({ id: "a" }), newTask({ id: "b" })], nowMs);
    const [a, b] = await lease();

    expect(await settle(settled.archived(a!))).toEqual(["settled"]);
    expect(await settle(settled.archived(b!))).toEqual(["settled"]);

    expect(await server.admin.hget("asynq:{default}:t:a", "state")).toBe("archived");
    for (let call = 0; (await broker.prune(["default"], 500, nowMs)) > 0; call++) expect(call).toBeLessThan(20);
    expect(await server.admin.zcard("asynq:{default}:archived")).toBe(2);
    expect(await server.admin.zcard("holdfast:{default}:archived")).toBe(8_100);
    expect((await server.admin.keys("asynq:{default}:t:*")).length).toBe(8_102);
    expect((await broker.queues(nowMs))[0]!.counts.archived).toBe(8_102);
  });

  it("the archive keeps exactly its bound within a Go peer's reach, the rest beside it, in one list", async () => {
    await archivedBefore(archiveKeep - 1, nowS - dayS);
    await broker.enqueue([newTask({ id: "a" }), newTask({ id: "b" })], nowMs);
    const [a, b] = await lease();

    await settle(settled.archived(a!));
    expect(await server.admin.zcard("asynq:{default}:archived")).toBe(archiveKeep);
    expect(await server.admin.exists("holdfast:{default}:archived")).toBe(0);

    await settle(settled.archived(b!));
    expect(await server.admin.zcard("asynq:{default}:archived")).toBe(archiveKeep);
    expect(await server.admin.zrange("holdfast:{default}:archived", 0, "-1", "WITHSCORES")).toEqual([
      "old-1",
      `${nowS - dayS}`,
    ]);

    const ids: string[] = [];
    for (let next: string | undefined, pages = 0; pages < 20; pages++) {
      const page = await broker.list({ queue: "default", state: "archived" }, { limit: 500, cursor: next });
      ids.push(...page.items.map(({ id }) => id));
      next = page.next;
      if (next === undefined) break;
    }
    expect(ids.length).toBe(archiveKeep + 1);
    expect(new Set(ids).size).toBe(archiveKeep + 1);
    expect(ids.slice(-2)).toEqual(["a", "b"]);
    expect(await broker.find([{ queue: "default", id: "old-1" }])).toMatchObject([
      { state: "archived", archivedAtMs: (nowS - dayS) * 1_000 },
    ]);
  });

  it("an id that is taken leaves no unique lock behind", async () => {
    const uniqueKey = "asynq:{default}:unique:test:plain:";
    await broker.enqueue([newTask({ id: "a" })], nowMs);

    expect(await broker.enqueue([newTask({ id: "a", uniqueKey }, { uniqueForMs: 60_000 })], nowMs)).toEqual([
      { status: "idTaken", id: "a" },
    ]);
    expect(await server.admin.exists(uniqueKey)).toBe(0);
    expect(await broker.enqueue([newTask({ id: "b", uniqueKey }, { uniqueForMs: 60_000 })], nowMs)).toMatchObject([
      { status: "enqueued" },
    ]);
    expect(await broker.enqueue([newTask({ id: "c", uniqueKey }, { uniqueForMs: 60_000 })], nowMs)).toEqual([
      { status: "duplicate", id: "b" },
    ]);
  });

  it("a queue that another program removed is back in the list of queues with the next task", async () => {
    await broker.enqueue([newTask({ id: "a" })], nowMs);
    await server.admin.srem("asynq:queues", "default");

    await broker.enqueue([newTask({ id: "b" })], nowMs);

    expect(await server.admin.smembers("asynq:queues")).toEqual(["default"]);
  });

  it("a message that cannot be decoded does not keep others from being reclaimed", async () => {
    await broker.enqueue([newTask({ id: "bad" }), newTask({ id: "a" }), newTask({ id: "b", queue: "low" })], nowMs);
    await lease({ queues: ["default", "low"] });
    await server.admin.hset("asynq:{default}:t:bad", "msg", Buffer.from("0aff", "hex"));

    const receipts = await broker.reclaim(["default", "low"], 10, nowMs + 60_000);

    expect(receipts.map(({ queue, id, to }) => `${queue} ${id} ${to}`).toSorted()).toEqual([
      "default a pending",
      "default bad pending",
      "low b pending",
    ]);
  });

  it("an id without a task never becomes active, and the next ones run", async () => {
    await broker.enqueue(
      [newTask({ id: "a" }), newTask({ id: "ghost" }), newTask({ id: "stub" }), newTask({ id: "c" })],
      nowMs,
    );
    await server.admin.del("asynq:{default}:t:ghost", "asynq:{default}:t:stub");
    await server.admin.hset("asynq:{default}:t:stub", "state", "active");

    expect((await lease({ limit: 2 })).map((task) => task.lease.id)).toEqual(["a", "c"]);

    expect(await server.admin.lrange("holdfast:{default}:broken", 0, -1)).toEqual(["stub", "ghost"]);
    expect(await server.admin.lrange("asynq:{default}:active", 0, -1)).toEqual(["c", "a"]);
    expect(await server.admin.exists("asynq:{default}:pending", "asynq:{default}:t:ghost")).toBe(0);
  });

  it("a scheduled or leased id without a task is set aside too", async () => {
    await broker.enqueue([newTask({ id: "later" }, { processAtMs: nowMs + 1_000 }), newTask({ id: "a" })], nowMs);
    await lease();
    await server.admin.del("asynq:{default}:t:later", "asynq:{default}:t:a");

    expect(await broker.promote(["default"], 10, nowMs + 2_000)).toEqual({ moved: 1, nextDueMs: undefined });
    expect(await broker.reclaim(["default"], 10, nowMs + 60_000)).toEqual([]);

    expect(await server.admin.lrange("holdfast:{default}:broken", 0, -1)).toEqual(["a", "later"]);
    expect(await server.admin.keys("asynq:{default}:*")).toEqual([]);
  });

  it("an active task without a lease runs again, when it was seen so twice, 30 s apart", async () => {
    await broker.enqueue([newTask({ id: "a" })], nowMs);
    await server.admin.rpoplpush("asynq:{default}:pending", "asynq:{default}:active");
    await server.admin.hset("asynq:{default}:t:a", "state", "active");

    expect(await broker.reclaim(["default"], 10, nowMs)).toEqual([]);
    expect(await broker.reclaim(["default"], 10, nowMs + 29_000)).toEqual([]);
    expect(await broker.reclaim(["default"], 10, nowMs + 30_000)).toEqual([
      { queue: "default", id: "a", to: "pending", crashes: 1 },
    ]);
    expect(await keyspace(server.admin)).toMatchObject({
      "asynq:{default}:pending": ["a"],
      "asynq:{default}:t:a": { state: "pending" },
    });
    expect(await server.admin.exists("asynq:{default}:active", "holdfast:{default}:unleased")).toBe(0);
  });

  it("an active task without a lease is found among two thousand that have one, in bounded steps", async () => {
    const ids = Array.from({ length: 2_000 }, (_, n) => `held${n}`);
    const entries = ids.flatMap((id) => [nowMs / 1_000 + 3_600, id]);
    await server.admin.zadd("asynq:{default}:lease", ...entries);
    await server.admin.lpush("asynq:{default}:active", ...ids.slice(0, 900), "lost", ...ids.slice(900));
    await server.admin.hset("asynq:{default}:t:lost", {
      msg: Buffer.from(encodeMessage(message({ id: "lost" }))),
      state: "active",
    });

    // Each worker looks every 5 s; these are the looks of one, for ten minutes.
    const found: string[] = [];
    let looks = 0;
    for (; looks < 120 && found.length === 0; looks += 1) {
      const receipts = await broker.reclaim(["default"], 10, nowMs + looks * 5_000);
      found.push(...receipts.map(({ id }) => id));
    }

    expect(found).toEqual(["lost"]);
    expect(looks).toBeGreaterThan(6);
    expect(await server.admin.llen("asynq:{default}:active")).toBe(2_000);
    expect(await server.admin.lrange("asynq:{default}:pending", 0, -1)).toEqual(["lost"]);
    expect(await server.admin.exists("holdfast:{default}:unleased")).toBe(0);
  });

  it("a lease that was missed once and is there again is not missed a second time", async () => {
    await broker.enqueue([newTask({ id: "a" })], nowMs);
    await server.admin.rpoplpush("asynq:{default}:pending", "asynq:{default}:active");
    await server.admin.hset("asynq:{default}:t:a", "state", "active");
    expect(await broker.reclaim(["default"], 10, nowMs)).toEqual([]);
    await server.admin.zadd("asynq:{default}:lease", nowMs / 1_000 + 3_600, "a");
    expect(await broker.reclaim(["default"], 10, nowMs + 10_000)).toEqual([]);
    await server.admin.zrem("asynq:{default}:lease", "a");

    expect(await broker.reclaim(["default"], 10, nowMs + 35_000)).toEqual([]);
    expect(await server.admin.hget("holdfast:{default}:unleased", "a")).toBe(String(nowMs / 1_000 + 35));
  });

  it("a stray entry in active, or a lease, of a task that is elsewhere is taken out, and the task stays", async () => {
    await broker.enqueue([newTask({ id: "a" }), newTask({ id: "b" }, { processAtMs: nowMs + 60_000 })], nowMs);
    await server.admin.lpush("asynq:{default}:active", "a", "b");
    await server.admin.zadd("asynq:{default}:lease", nowS, "b");

    for (const atMs of [nowMs, nowMs + 30_000]) expect(await broker.reclaim(["default"], 10, atMs)).toEqual([]);

    expect(await server.admin.exists("asynq:{default}:active", "asynq:{default}:lease")).toBe(0);
    expect(await keyspace(server.admin)).toMatchObject({
      "asynq:{default}:pending": ["a"],
      "asynq:{default}:scheduled": { b: `${nowS + 60}` },
      "asynq:{default}:t:a": { state: "pending" },
      "asynq:{default}:t:b": { state: "scheduled" },
    });
    expect((await lease()).map((task) => task.lease.id)).toEqual(["a"]);
  });

  it("an error text that is not valid Unicode is stored, and the task moves on", async () => {
    await broker.enqueue([newTask({ id: "a" })], nowMs);
    const [a] = await lease();
    const thrown = failureOf(new Error("broken \ud800 pair"), "failed", {
      startedAtMs: nowMs,
      durationMs: 1,
      keepStack: false,
    });

    await settle({ task: a!, outcome: { kind: "retry", atMs: nowMs, counts: true, failure: thrown } });

    const stored = await server.admin.hgetBuffer("asynq:{default}:t:a", "msg");
    expect(decodeMessage(stored!).lastError).toBe("broken \ufffd pair");
    expect(await server.admin.hget("asynq:{default}:t:a", "state")).toBe("retry");
  });

  it("works on at most 500 tasks in one script, whatever it is asked for", async () => {
    const tasks = Array.from({ length: 1_200 }, (_, n) =>
      newTask({ id: `t${n}`, retentionMs: 1_000 }, { processAtMs: nowMs + 1_000 }),
    );
    await broker.enqueue(tasks, nowMs);

    const moved: number[] = [];
    for (let call = 0; call < 3; call++) moved.push((await broker.promote(["default"], 100_000, nowMs + 2_000)).moved);
    expect(moved).toEqual([500, 500, 200]);

    const leased = await lease({ limit: 100_000 });
    leased.push(...(await lease({ limit: 100_000 })), ...(await lease({ limit: 100_000 })));
    expect(leased.length).toBe(1_200);
    expect((await broker.reclaim(["default"], 100_000, nowMs + 60_000)).length).toBe(500);
    expect(
      (await settle(...leased.map((task) => settled.completed(task)))).filter((one) => one === "settled").length,
    ).toBe(700);
    expect(await broker.prune(["default"], 100_000, nowMs + 10_000)).toBe(500);
    expect(await broker.prune(["default"], 100_000, nowMs + 10_000)).toBe(200);
  });

  const by: Act = { actor: "ops@test", reason: "", requestId: "r" };

  it("an operator's archiving past the bound leaves no task without a place, and no place without a task", async () => {
    await archivedBefore(archiveKeep, nowS - dayS);
    await broker.enqueue(
      Array.from({ length: 300 }, (_, n) => newTask({ id: `new-${n}` })),
      nowMs,
    );

    const all = { queue: "default", state: "pending" } as const;
    expect(await broker.move(all, "archived", by, { limit: 500 }, nowMs)).toMatchObject({ moved: 300 });

    const places = await Promise.all(
      ["asynq:{default}:archived", "holdfast:{default}:archived"].map((key) => server.admin.zrange(key, 0, "-1")),
    );
    expect(places.map((ids) => ids.length)).toEqual([archiveKeep, 300]);
    const tasks = (await server.admin.keys("asynq:{default}:t:*")).map((key) => key.slice("asynq:{default}:t:".length));
    expect(tasks.toSorted()).toEqual(places.flat().toSorted());
  });

  it("moves at most 500 tasks of a state in one script, whatever it is asked for", async () => {
    await archivedBefore(1_200, nowS - dayS);
    const all = { queue: "default", state: "archived" } as const;

    const moved = [];
    for (let call = 0; call < 3; call++) moved.push(await broker.move(all, "pending", by, { limit: 100_000 }, nowMs));

    expect(moved).toMatchObject([{ moved: 500, cursor: "more" }, { moved: 500 }, { moved: 200, cursor: undefined }]);
  });

  it("a deleted task of a group gives its unique lock back", async () => {
    const uniqueKey = "asynq:{default}:unique:test:plain:";
    // As a Go client puts it there: the lock is in the message, and no field of its own says so.
    await server.admin.sadd("asynq:queues", "default");
    await server.admin.sadd("asynq:{default}:groups", "mail");
    await server.admin.zadd("asynq:{default}:g:mail", nowS, "a");
    const msg = encodeMessage(message({ id: "a", group: "mail", uniqueKey }));
    await server.admin.hset("asynq:{default}:t:a", { msg, state: "aggregating", group: "mail" });
    await server.admin.set(uniqueKey, "a", "EX", 3_600);

    await broker.move({ queue: "default", ids: ["a"] }, "deleted", by, { limit: 1 }, nowMs);

    expect(await server.admin.exists(uniqueKey, "asynq:{default}:groups", "asynq:{default}:g:mail")).toBe(0);
    expect(await broker.enqueue([newTask({ id: "b", uniqueKey }, { uniqueForMs: 60_000 })], nowMs)).toMatchObject([
      { status: "enqueued" },
    ]);
  });

  it("a retry of a Go peer's group task goes back to its group, and the group is known", async () => {
    await broker.enqueue([newTask({ id: "a", group: "mail" }, { processAtMs: nowMs + 1_000 })], nowMs);
    await server.admin.hset("asynq:{default}:t:a", "group", "mail");

    await broker.promote(["default"], 10, nowMs + 2_000);

    expect(await keyspace(server.admin)).toMatchObject({
      "asynq:{default}:groups": ["mail"],
      "asynq:{default}:g:mail": { a: `${nowS + 2}` },
      "asynq:{default}:t:a": { state: "aggregating" },
    });
  });
});
