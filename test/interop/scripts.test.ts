import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { declared, generated, generatedFile } from "../../scripts/build-lua.js";
import type { Broker, LeasedTask, LeaseRequest } from "../../src/broker/broker.js";
import { newId } from "../../src/core/ids.js";
import * as scripts from "../../src/redis/scripts.gen.js";
import type { Script } from "../../src/redis/script.js";
import { newTask, settled } from "../support/builders.js";
import { keyspace } from "../support/keyspace.js";
import { renew } from "../support/renew.js";
import { onRedis } from "../support/on-redis.js";
import { describeRedis, type RedisServer } from "../support/redis-server.js";

const nowS = Math.floor(Date.now() / 1_000);
const nowMs = nowS * 1_000;
const day = new Date(nowMs).toISOString().slice(0, 10);

const everyScript = Object.values(scripts).filter((one): one is Script => typeof one === "object");

let requests = 0;
const request = (fields: Partial<LeaseRequest> = {}): LeaseRequest => ({
  workerId: "w1",
  requestId: `request-${requests++}`,
  queues: ["bad", "good"],
  limit: 10,
  leaseMs: 30_000,
  suspects: 1,
  ...fields,
});

const lease = async (broker: Broker, fields: Partial<LeaseRequest> = {}): Promise<LeasedTask[]> =>
  (await broker.exchange({ settle: [], lease: request(fields) }, nowMs)).leased;

describe("scripts.gen.ts", () => {
  it("is what the Lua files make", () => {
    expect(readFileSync(generatedFile, "utf8")).toBe(generated());
  });

  it("is not made from a script whose loops do not fit its names", () => {
    const script = (rows: string) =>
      `local asynq = unpack(KEYS)\nlocal deadline_ms, now_s = unpack(ARGV)\n--! include fence\n${rows}\n`;
    const row = (first: number, step: number, reach: number) =>
      script(`for i = ${first}, #ROWS, ${step} do\n  local id, score = unpack(ROWS, i, i + ${reach})\nend`);

    expect(declared("ok", row(1, 2, 1))).toEqual({
      keys: ["asynq"],
      keysAreLists: false,
      args: ["now_s"],
      row: ["id", "score"],
    });
    expect(() => declared("start", row(2, 2, 1))).toThrow("starts at 2, not at 1");
    expect(() => declared("step", row(1, 3, 1))).toThrow("has 2 names, steps by 3");
    expect(() => declared("reach", row(1, 2, 2))).toThrow("reaches to + 2");
    expect(() => declared("fence", row(1, 2, 1).replace("--! include fence", ""))).toThrow("fence` is missing");
    expect(() => declared("deadline", row(1, 2, 1).replace("deadline_ms, ", ""))).toThrow("must be deadline_ms");
  });
});

describeRedis("scripts", () => {
  let server: RedisServer;
  let broker: Broker;

  onRedis((site) => ({ server, broker } = site));

  it.each(everyScript.map((script) => [script.name, script] as const))(
    "%s does nothing after its deadline",
    async (_, script) => {
      await broker.enqueue([newTask({ id: "a" }), newTask({ id: "b" }, { processAtMs: nowMs + 1 })], nowMs);
      const before = await keyspace(server.admin);
      const pastMs = Date.now() - 1;

      await expect(
        server.admin.eval(script.text, 2, "asynq:{default}:", "holdfast:{default}:", pastMs),
      ).rejects.toThrow(/^STALE \d{13}$/);

      expect(await keyspace(server.admin)).toEqual(before);
    },
  );

  it("run again after the server lost them", async () => {
    await broker.enqueue([newTask({ id: "a", queue: "good" })], nowMs);
    await server.admin.script("FLUSH");

    await broker.enqueue([newTask({ id: "b", queue: "good" })], nowMs);
    await server.admin.script("FLUSH");

    expect((await lease(broker)).map((task) => task.lease.id)).toEqual(["a", "b"]);
  });

  describe("a lease whose reply was lost", () => {
    it("gets the same tasks again, as far as they are still held, and no others", async () => {
      await broker.enqueue(
        ["a", "b", "c", "d"].map((id, n) => newTask({ id, queue: n < 2 ? "bad" : "good" })),
        nowMs,
      );
      const turn = { settle: [], lease: request({ limit: 3 }) };
      const first = (await broker.exchange(turn, nowMs)).leased;
      await broker.exchange({ settle: [settled.completed(first[1]!)] }, nowMs);

      const again = (await broker.exchange(turn, nowMs + 2_000)).leased;

      expect(again.map(({ lease: { queue, id, token, untilMs } }) => [queue, id, token, untilMs - nowMs])).toEqual([
        ["bad", "a", turn.lease.requestId, 32_000],
        ["good", "c", turn.lease.requestId, 32_000],
      ]);
      expect(await server.admin.zscore("asynq:{bad}:lease", "a")).toBe(`${nowS + 32}`);
      expect(await broker.exchange({ settle: again.map((task) => settled.completed(task)) }, nowMs)).toMatchObject({
        settled: ["settled", "settled"],
      });
      expect((await lease(broker)).map((task) => task.lease.id)).toEqual(["d"]);
    });
  });

  describe("a key of the wrong type in the way", () => {
    /** The wrong type, and what it is called. */
    async function obstruct(key: string, right: string): Promise<string> {
      const type = right === "string" ? "set" : "string";
      await server.admin.del(key);
      if (type === "set") await server.admin.sadd(key, "in the way");
      else await server.admin.set(key, "in the way");
      return type;
    }

    const badOnes = async () =>
      Object.fromEntries(Object.entries(await keyspace(server.admin)).filter(([key]) => key.includes("{bad}")));

    it.each([
      ["pending", "list", 0],
      ["scheduled", "zset", nowMs + 60_000],
    ] as const)("enqueue: %s", async (name, right, processAtMs) => {
      const key = `asynq:{bad}:${name}`;
      const type = await obstruct(key, right);
      const before = await keyspace(server.admin);

      const tasks = [newTask({ id: "a", queue: "bad" }, { processAtMs }), newTask({ id: "b", queue: "good" })];
      await expect(broker.enqueue(tasks, nowMs)).rejects.toMatchObject({
        code: "BROKER_FAILED",
        data: { problem: `${key} is a ${type}, not a ${right}` },
      });

      expect(await keyspace(server.admin)).toEqual({
        ...before,
        "asynq:queues": ["good"],
        "asynq:{good}:pending": ["b"],
        "asynq:{good}:t:b": expect.objectContaining({ state: "pending" }),
      });
    });

    it("enqueue: asynq:queues", async () => {
      await obstruct("asynq:queues", "set");
      const before = await keyspace(server.admin);

      for (const processAtMs of [0, nowMs + 60_000]) {
        await expect(broker.enqueue([newTask({ id: "a" }, { processAtMs })], nowMs)).rejects.toMatchObject({
          code: "BROKER_FAILED",
          data: { problem: "asynq:queues is a string, not a set" },
        });
      }

      expect(await keyspace(server.admin)).toEqual(before);
    });

    it("enqueue: a task's own key is an id that is taken, a lock is named; the others go in", async () => {
      await obstruct("asynq:{bad}:t:a", "hash");
      const lock = "asynq:{bad}:unique:test:plain:";
      const unique = newTask({ id: "c", queue: "bad", uniqueKey: lock }, { uniqueForMs: 1_000 });

      expect(
        await broker.enqueue([newTask({ id: "a", queue: "bad" }), newTask({ id: "b", queue: "bad" })], nowMs),
      ).toEqual([
        { status: "idTaken", id: "a" },
        { status: "enqueued", id: "b", state: "pending" },
      ]);
      await obstruct(lock, "string");
      await expect(broker.enqueue([unique, newTask({ id: "d", queue: "bad" })], nowMs)).rejects.toMatchObject({
        code: "BROKER_FAILED",
        data: { problem: `${lock} is a set, not a string` },
      });
      expect(await server.admin.lrange("asynq:{bad}:pending", 0, -1)).toEqual(["d", "b"]);
      expect(await server.admin.exists("asynq:{bad}:t:c")).toBe(0);
    });

    it.each([
      ["asynq:{bad}:pending", "list"],
      ["asynq:{bad}:active", "list"],
      ["asynq:{bad}:lease", "zset"],
      ["holdfast:{bad}:leases", "hash"],
      ["holdfast:{bad}:broken", "list"],
    ])("lease: %s", async (key, right) => {
      await broker.enqueue([newTask({ id: "a", queue: "bad" }), newTask({ id: "b", queue: "good" })], nowMs);
      const type = await obstruct(key, right);
      const before = await badOnes();

      const leased = await lease(broker, { queues: ["good", "bad"] });

      expect(leased.map((task) => task.lease.id)).toEqual(["b"]);
      expect(await badOnes()).toEqual(before);
      await expect(lease(broker)).rejects.toMatchObject({
        code: "BROKER_FAILED",
        data: { problem: `${key} is a ${type}, not a ${right}` },
      });
    });

    it("lease: what was settled by the same turn is told", async () => {
      await broker.enqueue([newTask({ id: "a", queue: "good" })], nowMs);
      const [a] = await lease(broker);
      await obstruct("asynq:{bad}:pending", "list");

      const turn = { settle: [settled.completed(a!)], lease: request() };
      expect(await broker.exchange(turn, nowMs)).toMatchObject({ settled: ["settled"], leased: [], more: false });
    });

    it("lease: a task's own key is set aside, its neighbours run", async () => {
      await broker.enqueue([newTask({ id: "a", queue: "bad" }), newTask({ id: "b", queue: "bad" })], nowMs);
      await obstruct("asynq:{bad}:t:a", "hash");

      expect((await lease(broker)).map((task) => task.lease.id)).toEqual(["b"]);

      expect(await server.admin.lrange("holdfast:{bad}:broken", 0, -1)).toEqual(["a"]);
      expect(await server.admin.get("asynq:{bad}:t:a")).toBe("in the way");
    });

    const retry = (task: LeasedTask) => settled.retry(task, nowMs + 1_000);
    it.each([
      ["asynq:{bad}:active", "list", retry],
      ["asynq:{bad}:lease", "zset", retry],
      ["holdfast:{bad}:leases", "hash", retry],
      ["asynq:{bad}:retry", "zset", retry],
      ["asynq:{bad}:archived", "zset", settled.archived],
      ["holdfast:{bad}:archived", "zset", settled.archived],
      ["asynq:{bad}:completed", "zset", settled.completed],
      ["asynq:{bad}:pending", "list", settled.released],
      [`holdfast:{bad}:done:${Math.floor(nowMs / 10_000)}`, "set", settled.revoked],
    ] as const)("settle: %s", async (key, right, outcome) => {
      await broker.enqueue(
        [
          newTask({ id: newId(nowMs), queue: "bad", retentionMs: 5_000 }),
          newTask({ id: "b", queue: "good" }),
          newTask({ id: "next", queue: "good" }),
        ],
        nowMs,
      );
      const [a, b] = await lease(broker, { limit: 2 });
      const type = await obstruct(key, right);
      const before = await badOnes();

      const turn = { settle: [outcome(a!), settled.completed(b!)], lease: request() };
      await expect(broker.exchange(turn, nowMs)).rejects.toMatchObject({
        code: "BROKER_FAILED",
        data: { problem: `${key} is a ${type}, not a ${right}` },
      });

      expect(await badOnes()).toEqual(before);
      expect(await server.admin.exists("asynq:{good}:t:b")).toBe(0);
      // Nothing was leased by a call whose reply could not say so.
      expect(await server.admin.lrange("asynq:{good}:pending", 0, -1)).toEqual(["next"]);
    });

    it("settle: when there is more than one call can take, what the last of them leased is given back", async () => {
      const many = Array.from({ length: 501 }, (_, n) => newTask({ id: `t${n}`, queue: n < 500 ? "good" : "bad" }));
      await broker.enqueue([...many, newTask({ id: "next", queue: "good" })], nowMs);
      const leased = [
        ...(await lease(broker, { queues: ["good"], limit: 500 })),
        ...(await lease(broker, { queues: ["bad"] })),
      ];
      await obstruct("holdfast:{bad}:leases", "hash");

      const settle = leased.map((task) => settled.completed(task));
      await expect(broker.exchange({ settle, lease: request({ queues: ["good"] }) }, nowMs)).rejects.toMatchObject({
        code: "BROKER_FAILED",
      });

      expect(await server.admin.lrange("asynq:{good}:pending", 0, -1)).toEqual(["next"]);
      expect(await server.admin.lrange("asynq:{bad}:active", 0, -1)).toEqual(["t500"]);
      expect(await server.admin.exists("asynq:{good}:active")).toBe(0);
    });

    it.each(["processed", "failed", `processed:${day}`, `failed:${day}`])(
      "settle and reclaim: the counter %s: stays as it is, is named by reclaiming, and no task waits for it",
      async (name) => {
        const counters = ["processed", "failed", `processed:${day}`, `failed:${day}`];
        const counts = () =>
          Promise.all(counters.map((one) => server.admin.get(`asynq:{bad}:${one}`).catch(() => "?")));
        await broker.enqueue(
          ["a", "b", "c"].map((id) => newTask({ id, queue: "bad" }, { atMostOnce: id === "c" })),
          nowMs,
        );
        const [a, b] = await lease(broker);
        const type = await obstruct(`asynq:{bad}:${name}`, "string");

        const settle = [settled.archived(a!), retry(b!)];
        expect((await broker.exchange({ settle }, nowMs)).settled).toEqual(["settled", "settled"]);
        expect(await counts()).toEqual(counters.map((one) => (one === name ? "?" : "2")));
        expect(await broker.reclaim(["bad"], 10, nowMs + 40_000)).toMatchObject([{ id: "c", to: "archived" }]);
        expect(await counts()).toEqual(counters.map((one) => (one === name ? "?" : "3")));
        expect(await server.admin.type(`asynq:{bad}:${name}`)).toBe(type);
        expect(await server.admin.zcard("asynq:{bad}:archived")).toBe(2);

        await broker.enqueue([newTask({ id: "d", queue: "bad" })], nowMs);
        await lease(broker);
        await expect(broker.reclaim(["bad"], 10, nowMs)).rejects.toMatchObject({
          code: "BROKER_FAILED",
          data: { problem: `asynq:{bad}:${name} is a ${type}, not a string` },
        });
      },
    );

    it("settle: a counter that is no number is passed over too", async () => {
      await broker.enqueue([newTask({ id: "a", queue: "bad" })], nowMs);
      const [a] = await lease(broker);
      await server.admin.set("asynq:{bad}:processed", "many");

      expect((await broker.exchange({ settle: [settled.completed(a!)] }, nowMs)).settled).toEqual(["settled"]);

      expect(await server.admin.mget("asynq:{bad}:processed", `asynq:{bad}:processed:${day}`)).toEqual(["many", "1"]);
    });

    it("settle: a task's own key: its id is set aside, the others are settled", async () => {
      await broker.enqueue([newTask({ id: "a", queue: "bad" }), newTask({ id: "b", queue: "bad" })], nowMs);
      const [a, b] = await lease(broker);
      await obstruct("asynq:{bad}:t:a", "hash");

      expect((await broker.exchange({ settle: [retry(a!), retry(b!)] }, nowMs)).settled).toEqual([
        "leaseLost",
        "settled",
      ]);

      expect(await server.admin.lrange("holdfast:{bad}:broken", 0, -1)).toEqual(["a"]);
      expect(await server.admin.get("asynq:{bad}:t:a")).toBe("in the way");
      expect(await server.admin.exists("asynq:{bad}:active", "asynq:{bad}:lease")).toBe(0);
    });

    it.each([
      ["asynq:{bad}:active", "list"],
      ["asynq:{bad}:lease", "zset"],
      ["holdfast:{bad}:leases", "hash"],
      ["asynq:{bad}:pending", "list"],
      ["asynq:{bad}:archived", "zset"],
      ["holdfast:{bad}:archived", "zset"],
      ["holdfast:{bad}:broken", "list"],
      ["holdfast:{bad}:unleased", "hash"],
    ])("reclaim: %s", async (key, right) => {
      await broker.enqueue([newTask({ id: "a", queue: "bad" }), newTask({ id: "b", queue: "good" })], nowMs);
      await lease(broker);
      const type = await obstruct(key, right);
      const before = await badOnes();

      // What was done for the other queue is told first.
      expect(await broker.reclaim(["bad", "good"], 10, nowMs + 40_000)).toMatchObject([{ id: "b" }]);
      await expect(broker.reclaim(["bad", "good"], 10, nowMs + 40_000)).rejects.toMatchObject({
        code: "BROKER_FAILED",
        data: { problem: `${key} is a ${type}, not a ${right}` },
      });

      expect(await badOnes()).toEqual(before);
      expect(await server.admin.lrange("asynq:{good}:pending", 0, -1)).toEqual(["b"]);
    });

    it.each([
      ["asynq:{bad}:scheduled", "zset"],
      ["asynq:{bad}:retry", "zset"],
      ["asynq:{bad}:pending", "list"],
      ["asynq:{bad}:groups", "set"],
      ["holdfast:{bad}:broken", "list"],
    ])("promote: %s", async (key, right) => {
      const processAtMs = nowMs + 1_000;
      await broker.enqueue(
        [newTask({ id: "a", queue: "bad" }, { processAtMs }), newTask({ id: "b", queue: "good" }, { processAtMs })],
        nowMs,
      );
      const type = await obstruct(key, right);
      const before = await badOnes();

      // What was done for the other queue is told first.
      expect(await broker.promote(["bad", "good"], 10, nowMs + 40_000)).toMatchObject({ moved: 1 });
      await expect(broker.promote(["bad", "good"], 10, nowMs + 40_000)).rejects.toMatchObject({
        code: "BROKER_FAILED",
        data: { problem: `${key} is a ${type}, not a ${right}` },
      });

      expect(await badOnes()).toEqual(before);
      expect(await server.admin.lrange("asynq:{good}:pending", 0, -1)).toEqual(["b"]);
    });

    it.each([
      ["asynq:{bad}:lease", "zset"],
      ["holdfast:{bad}:leases", "hash"],
    ])("renew: %s", async (key, right) => {
      await broker.enqueue([newTask({ id: "a", queue: "bad" }), newTask({ id: "b", queue: "good" })], nowMs);
      const leased = await lease(broker);
      const type = await obstruct(key, right);
      const before = await badOnes();

      const problem = `${key} is a ${type}, not a ${right}`;
      expect(await renew(server, ["bad", "good"], leased, nowS + 60)).toEqual(["wr", problem]);

      expect(await badOnes()).toEqual(before);
      expect(await server.admin.zscore("asynq:{good}:lease", "b")).toBe(`${nowS + 60}`);
    });

    it("promote: the key of a task's group: the task runs without it", async () => {
      await broker.enqueue([newTask({ id: "a", queue: "bad", group: "g" }, { processAtMs: nowMs + 1_000 })], nowMs);
      await server.admin.hset("asynq:{bad}:t:a", "group", "g");
      await obstruct("asynq:{bad}:g:g", "zset");

      expect(await broker.promote(["bad"], 10, nowMs + 2_000)).toMatchObject({ moved: 1 });

      expect(await server.admin.lrange("asynq:{bad}:pending", 0, -1)).toEqual(["a"]);
      expect(await server.admin.hget("asynq:{bad}:t:a", "state")).toBe("pending");
    });

    it.each([
      ["asynq:{bad}:completed", "zset"],
      ["asynq:{bad}:archived", "zset"],
      ["holdfast:{bad}:archived", "zset"],
      ["asynq:{bad}:lease", "zset"],
      ["holdfast:{bad}:leases", "hash"],
    ])("prune: %s", async (key, right) => {
      await server.admin.zadd("asynq:{bad}:completed", 1, "gone");
      const type = await obstruct(key, right);

      await expect(broker.prune(["bad", "good"], 10, nowMs)).rejects.toMatchObject({
        data: { problem: `${key} is a ${type}, not a ${right}` },
      });
    });

    it("does not keep anyone from looking", async () => {
      await broker.enqueue([newTask({ id: "a", queue: "bad" })], nowMs);
      for (const [key, right] of [
        ["asynq:{bad}:active", "list"],
        ["asynq:{bad}:retry", "zset"],
        ["asynq:{bad}:processed", "string"],
        ["asynq:{bad}:groups", "set"],
        ["asynq:{bad}:t:a", "hash"],
      ] as const) {
        await obstruct(key, right);
      }

      expect(await broker.queues(nowMs)).toMatchObject([
        { name: "bad", counts: { pending: 1, active: 0, retry: 0 }, processed: 0 },
      ]);
      expect(await broker.find([{ queue: "bad", id: "a" }])).toEqual([undefined]);
    });
  });
});
