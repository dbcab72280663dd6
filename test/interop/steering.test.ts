import { beforeEach, describe, expect, it } from "vitest";
import type { Broker } from "../../src/broker/broker.js";
import type { Act, MoveTarget } from "../../src/broker/roles.js";
import type { TaskState } from "../../src/core/state.js";
import { bytesOf, message, newTask } from "../support/builders.js";
import { keyspace } from "../support/keyspace.js";
import { onRedis } from "../support/on-redis.js";
import { describeRedis, type RedisServer } from "../support/redis-server.js";

/**
 * What operators do on Redis, with all keys, types, fields and scores before and after. What starts with `asynq:` is what
 * Go's inspector leaves after the same act.
 */
describeRedis("steering on Redis", () => {
  let server: RedisServer;
  let broker: Broker;
  const nowS = Math.floor(Date.now() / 1_000);
  const nowMs = nowS * 1_000 + 500;
  const nowNs = `${nowMs}000000`;
  const by: Act = { actor: "ops", reason: "why", requestId: "r1" };
  const acted = (verb: string, what: string, count: number, n = 1) =>
    `at=${nowMs} actor=ops reason=why request=r1 verb=${verb} what=${what} count=${count} n=${n}`;
  const manual = JSON.stringify({
    reason: "manual",
    class: "Archived",
    message: "by ops: why",
    startedAtMs: nowMs,
    durationMs: 0,
    actor: "ops",
  });

  onRedis((site) => ({ server, broker } = site));
  beforeEach(() => server.admin.sadd("asynq:queues", "q"));

  const msg = (id: string, fields = {}) => bytesOf(message({ id, queue: "q", ...fields }));
  const sets = ["scheduled", "retry", "archived", "completed"] as const;

  /** A task as Go leaves it in that state. */
  async function put(
    id: string,
    state: TaskState,
    { score = nowS - 10, fields = {}, key = `asynq:{q}:${state}` } = {},
  ) {
    const hash = { msg: Buffer.from(msg(id, fields), "hex"), state };
    await server.admin.hset(`asynq:{q}:t:${id}`, state === "pending" ? { ...hash, pending_since: "1" } : hash);
    if (state === "pending" || state === "active") await server.admin.lpush(`asynq:{q}:${state}`, id);
    else await server.admin.zadd(key, score, id);
  }
  async function putInGroup(id: string, group: string, set = "") {
    await put(id, "aggregating", { key: `asynq:{q}:g:${group}${set}` });
    await server.admin.hset(`asynq:{q}:t:${id}`, "group", group);
    await server.admin.sadd("asynq:{q}:groups", group);
  }
  const move = (what: readonly string[] | { state: TaskState; group?: string }, to: MoveTarget, limit = 100) =>
    broker.move({ queue: "q", ...("state" in what ? what : { ids: what }) }, to, by, { limit }, nowMs);

  for (const state of sets) {
    it(`${state} → pending`, async () => {
      await put("a", state);

      expect(await move(["a"], "pending")).toEqual({ receipts: ["moved"] });

      expect(await keyspace(server.admin)).toEqual({
        "asynq:queues": ["q"],
        "asynq:{q}:pending": ["a"],
        "asynq:{q}:t:a": { msg: msg("a"), state: "pending", pending_since: nowNs },
        "holdfast:{q}:audit": [acted("run", '["a"]', 1)],
      });
    });
  }

  for (const state of ["pending", "scheduled", "retry", "completed"] as const) {
    it(`${state} → archived`, async () => {
      await put("a", state);

      expect(await move(["a"], "archived")).toEqual({ receipts: ["moved"] });

      expect(await keyspace(server.admin)).toEqual({
        "asynq:queues": ["q"],
        "asynq:{q}:archived": { a: `${nowS}` },
        "asynq:{q}:t:a": {
          msg: msg("a"),
          state: "archived",
          hf_failure: manual,
          ...(state === "pending" ? { pending_since: "1" } : {}),
        },
        "holdfast:{q}:unindexed": ["a"],
        "holdfast:{q}:audit": [acted("archive", '["a"]', 1)],
      });
    });
  }

  it("archived, in either place → deleted, with its lock", async () => {
    const lock = "asynq:{q}:unique:test:plain:";
    await put("a", "archived");
    await put("b", "archived", { key: "holdfast:{q}:archived" });
    await server.admin.hset("asynq:{q}:t:b", "unique_key", lock);
    await server.admin.set(lock, "b");

    expect(await move(["a", "b"], "deleted")).toEqual({ receipts: ["moved", "moved"] });

    expect(await keyspace(server.admin)).toEqual({
      "asynq:queues": ["q"],
      "holdfast:{q}:audit": [acted("delete", '["a","b"]', 2)],
    });
  });

  it("archived, the oldest first, without a seam", async () => {
    for (const n of [1, 2]) await put(`old${n}`, "archived", { key: "holdfast:{q}:archived", score: nowS - 100 + n });
    for (const n of [1, 2]) await put(`new${n}`, "archived", { score: nowS - 10 + n });

    expect(await move({ state: "archived" }, "pending", 3)).toMatchObject({ moved: 3, cursor: expect.any(String) });

    expect(await server.admin.lrange("asynq:{q}:pending", 0, -1)).toEqual(["new1", "old2", "old1"]);
    expect(await server.admin.zrange("asynq:{q}:archived", 0, "-1")).toEqual(["new2"]);
    expect(await server.admin.exists("holdfast:{q}:archived")).toBe(0);
  });

  it("archives keep out of reach of a Go peer's trim", async () => {
    const full = Array.from({ length: 5_000 }, (_, n) => [`${nowS - 9}`, `x${n}`]).flat();
    await server.admin.zadd("asynq:{q}:archived", ...full);
    for (const id of ["a", "b", "c"]) await put(id, "pending");

    await move({ state: "pending" }, "archived");

    expect(await server.admin.zcard("asynq:{q}:archived")).toBe(5_000);
    expect(await server.admin.zcard("holdfast:{q}:archived")).toBe(3);
    expect(await server.admin.zscore("asynq:{q}:archived", "c")).toBe(`${nowS}`);
  });

  describe("of a group", () => {
    it("→ pending: the group goes with its last task, and the task remembers it", async () => {
      await putInGroup("a", "g:1");
      await putInGroup("b", "g:1");

      expect(await move(["a"], "pending")).toEqual({ receipts: ["moved"] });
      expect(await server.admin.smembers("asynq:{q}:groups")).toEqual(["g:1"]);
      expect(await move(["b"], "pending")).toEqual({ receipts: ["moved"] });

      const task = (id: string) => ({ msg: msg(id), state: "pending", pending_since: nowNs, group: "g:1" });
      expect(await keyspace(server.admin)).toEqual({
        "asynq:queues": ["q"],
        "asynq:{q}:pending": ["b", "a"],
        "asynq:{q}:t:a": task("a"),
        "asynq:{q}:t:b": task("b"),
        "holdfast:{q}:audit": [acted("run", '["a"]', 1), acted("run", '["b"]', 1, 2)],
      });
    });

    it("→ archived, one group and no other", async () => {
      await putInGroup("a", "1");
      await putInGroup("b", "2");

      expect(await move({ state: "aggregating", group: "1" }, "archived")).toEqual({
        moved: 1,
        skipped: 0,
        cursor: undefined,
      });

      expect(await keyspace(server.admin)).toMatchObject({
        "asynq:{q}:archived": { a: `${nowS}` },
        "asynq:{q}:g:2": { b: `${nowS - 10}` },
        "asynq:{q}:groups": ["2"],
        "holdfast:{q}:audit": [acted("archive", "aggregating 1", 1)],
      });
    });

    it("→ deleted, all of them, each with the lock that its message alone knows", async () => {
      const locks = ["1", "2", "3"].map((n) => `asynq:{q}:unique:test:plain:${n}`);
      for (const [n, uniqueKey] of locks.entries()) {
        await putInGroup(`t${n}`, `g${n}`);
        await server.admin.hset(`asynq:{q}:t:t${n}`, "msg", Buffer.from(msg(`t${n}`, { uniqueKey }), "hex"));
        await server.admin.set(uniqueKey, n === 2 ? "another" : `t${n}`);
      }

      expect(await move({ state: "aggregating" }, "deleted")).toEqual({ moved: 3, skipped: 0, cursor: undefined });

      expect(await keyspace(server.admin)).toEqual({
        "asynq:queues": ["q"],
        [locks[2]!]: "another",
        "holdfast:{q}:audit": [acted("delete", "aggregating", 3)],
      });
    });

    it("leaves what is being aggregated to who does it", async () => {
      await putInGroup("a", "1", ":0b2f");
      const before = await keyspace(server.admin);

      expect(await move(["a"], "deleted")).toEqual({ receipts: ["wrongState"] });
      expect(await keyspace(server.admin)).toEqual(before);
    });

    it("is told together with all others, however many there are, by time", async () => {
      for (let n = 0; n < 60; n++)
        await put(`t${n}`, "aggregating", { key: `asynq:{q}:g:g${n % 30}`, score: nowS - n });
      await server.admin.sadd("asynq:{q}:groups", ...Array.from({ length: 30 }, (_, n) => `g${n}`));

      const page = await broker.list({ queue: "q", state: "aggregating" }, { limit: 1_000 });

      expect(page.items.map(({ id }) => id)).toEqual(Array.from({ length: 60 }, (_, n) => `t${59 - n}`));
    });

    it("is told by name, with how many tasks it holds", async () => {
      await putInGroup("a", "b:1");
      await putInGroup("b", "b:1");
      await putInGroup("c", "a");
      await server.admin.sadd("asynq:{q}:groups", "empty");

      expect(await broker.groups("q")).toEqual([
        { name: "a", count: 1 },
        { name: "b:1", count: 2 },
      ]);
      const page = (group?: string) =>
        broker.list({ queue: "q", state: "aggregating", ...(group === undefined ? {} : { group }) }, { limit: 10 });
      expect((await page("b:1")).items.map(({ id }) => id)).toEqual(["a", "b"]);
      expect((await page()).items.map(({ id }) => id)).toEqual(["a", "b", "c"]);
    });
  });

  it("sets aside what is no task, and takes out what is elsewhere", async () => {
    await put("real", "retry");
    await server.admin.zadd("asynq:{q}:retry", 1, "ghost");
    await put("elsewhere", "scheduled");
    await server.admin.zadd("asynq:{q}:retry", 2, "elsewhere");
    await put("held", "active");
    await server.admin.zadd("asynq:{q}:lease", nowS + 30, "held");
    await server.admin.zadd("asynq:{q}:retry", 3, "held");

    expect(await move({ state: "retry" }, "deleted")).toEqual({ moved: 1, skipped: 3, cursor: undefined });

    expect(await keyspace(server.admin)).toEqual({
      "asynq:queues": ["q"],
      "asynq:{q}:active": ["held"],
      "asynq:{q}:lease": { held: `${nowS + 30}` },
      "asynq:{q}:scheduled": { elsewhere: `${nowS - 10}` },
      "asynq:{q}:t:elsewhere": { msg: msg("elsewhere"), state: "scheduled" },
      "asynq:{q}:t:held": { msg: msg("held"), state: "active" },
      "holdfast:{q}:audit": [acted("delete", "retry", 1)],
      "holdfast:{q}:broken": ["ghost"],
    });
  });

  it("finds tasks anywhere in a long line, a few with each call", async () => {
    await server.admin.eval("for n = 1, 200000 do redis.call('LPUSH', KEYS[1], n) end", 1, "asynq:{q}:pending");
    const far = ["199990", "150000", "100000", "99500", "50000", "10"];
    for (const id of far) {
      await server.admin.hset(`asynq:{q}:t:${id}`, { msg: Buffer.from(msg(id), "hex"), state: "pending" });
    }
    await server.admin.hset("asynq:{q}:t:lost", { msg: Buffer.from(msg("lost"), "hex"), state: "pending" });

    expect(await move([...far, "lost", "10"], "deleted")).toEqual({
      receipts: [...far, "lost"].map(() => "moved").concat("notFound"),
    });

    expect(await server.admin.llen("asynq:{q}:pending")).toBe(199_994);
    expect(await Promise.all(far.map((id) => server.admin.lpos("asynq:{q}:pending", id)))).toEqual(far.map(() => null));
    expect(await server.admin.lrange("asynq:{q}:pending", -11, -8)).toEqual(["12", "11", "9", "8"]);
    expect((await server.admin.xlen("holdfast:{q}:audit")) > 1).toBe(true);
  });

  it("leaves what has a lease to its worker, wherever its state says that it is", async () => {
    for (const state of ["pending", "retry"] as const) {
      await put(state, state);
      await server.admin.del(`asynq:{q}:${state}`);
      await server.admin.zadd("asynq:{q}:lease", nowS + 30, state);
    }
    const before = await keyspace(server.admin);

    expect(await move(["pending", "retry"], "deleted")).toEqual({ receipts: ["wrongState", "wrongState"] });
    expect(await keyspace(server.admin)).toEqual(before);
  });

  it("reaches what a Go peer's trim has left behind: a dead letter in no set", async () => {
    await put("orphan", "archived");
    await server.admin.del("asynq:{q}:archived");

    expect(await move(["orphan"], "pending")).toEqual({ receipts: ["moved"] });

    expect(await server.admin.lrange("asynq:{q}:pending", 0, -1)).toEqual(["orphan"]);
  });

  it("a message of several fields of a kind, or none at all, is run with more retries or as it is", async () => {
    const twice = Buffer.concat([Buffer.from(msg("a", { maxRetry: 3, retried: 1 }), "hex"), Buffer.from([48, 9])]);
    await put("a", "archived");
    await server.admin.hset("asynq:{q}:t:a", "msg", twice);
    for (const [id, hex] of [
      ["b", "ff"],
      ["c", "0aff"],
      ["d", "3300"],
      ["e", "28ffffffffffffffffff01"],
    ] as const) {
      await put(id, "archived");
      await server.admin.hset(`asynq:{q}:t:${id}`, "msg", Buffer.from(hex, "hex"));
    }

    await broker.move(
      { queue: "q", ids: ["a", "b", "c", "d", "e"] },
      "pending",
      by,
      { limit: 9, attempts: 200 },
      nowMs,
    );

    const [a] = await broker.find([{ queue: "q", id: "a" }]);
    expect(a?.message).toMatchObject({ maxRetry: 9 + 199, retried: 9 });
    const hex = async (id: string) => (await server.admin.hgetBuffer(`asynq:{q}:t:${id}`, "msg"))!.toString("hex");
    expect([await hex("b"), await hex("c"), await hex("d")]).toEqual(["ff", "0aff", "3300"]);
    // -1 of 64 bits is less than any.
    expect(await hex("e")).toBe("28ffffffffffffffffff0128c701");
  });

  it("a key of the wrong type is named, and nothing is written; what does not need it moves", async () => {
    await put("a", "retry");
    await put("b", "pending");
    await server.admin.set("asynq:{q}:completed", "in the way");
    await server.admin.set("asynq:{q}:archived", "in the way");
    const before = await keyspace(server.admin);

    for (const act of [
      () => move({ state: "completed" }, "deleted"),
      () => move(["a"], "archived"),
      () => move({ state: "pending" }, "archived"),
    ]) {
      await expect(act()).rejects.toMatchObject({
        code: "BROKER_FAILED",
        data: { problem: expect.stringMatching(/^asynq:\{q\}:(completed|archived) is a string, not a zset$/) },
      });
      expect(await keyspace(server.admin)).toEqual(before);
    }
    expect(await move(["a", "b"], "deleted")).toEqual({ receipts: ["moved", "moved"] });
  });

  it("pause and resume are asynq's, with a note of who and why; waiting tasks keep their order", async () => {
    for (const id of ["a", "b", "c"]) await put(id, "pending");
    const before = await keyspace(server.admin);

    await broker.setPaused(["q"], true, by, nowMs);
    const note = { since: `${nowS}`, actor: "ops", reason: "why", request: "r1" };
    expect(await keyspace(server.admin)).toEqual({
      ...before,
      "asynq:{q}:paused": `${nowS}`,
      "holdfast:{q}:pause": note,
      "holdfast:{q}:audit": [acted("pause", "", 0)],
    });

    await server.admin.watch("asynq:{q}:paused");
    await broker.setPaused(["q"], false, by, nowMs);
    expect(await keyspace(server.admin)).toEqual({
      ...before,
      "holdfast:{q}:audit": [acted("pause", "", 0), acted("resume", "", 0, 2)],
    });
    // Workers that sleep watch the pause: its end wakes them.
    expect(await server.admin.multi().ping().exec()).toBeNull();
  });

  it("who paused a queue is not told of a pause by another program", async () => {
    await broker.setPaused(["q"], true, by, nowMs);
    await server.admin.del("asynq:{q}:paused");
    expect((await broker.queues(nowMs))[0]).toMatchObject({ paused: false, pause: undefined });

    await server.admin.set("asynq:{q}:paused", "1700000000");

    expect((await broker.queues(nowMs))[0]?.pause).toEqual({ atMs: 1_700_000_000_000 });
  });

  it("another payload: the lock of the task moves with the time that it has left", async () => {
    const lock = (hash: string) => `asynq:{q}:unique:test:plain:${hash}`;
    await broker.enqueue([newTask({ id: "a", queue: "q", uniqueKey: lock("") }, { uniqueForMs: 60_000 })], nowMs);

    expect(await broker.updatePayload({ queue: "q", id: "a" }, Buffer.from("x"), by, nowMs)).toBe("updated");

    const key = lock("9dd4e461268c8034f5c8564e155c67a6");
    expect(await keyspace(server.admin)).toEqual({
      "asynq:queues": ["q"],
      [key]: "a",
      "asynq:{q}:pending": ["a"],
      "asynq:{q}:t:a": {
        msg: msg("a", { payload: Buffer.from("x"), uniqueKey: key }),
        state: "pending",
        pending_since: nowNs,
        unique_key: key,
      },
      "holdfast:{q}:audit": [acted("payload", '["a"]', 1)],
    });
    expect(await server.admin.ttl(key)).toBeGreaterThan(50);
    expect(await server.admin.ttl(key)).toBeLessThanOrEqual(60);
  });

  describe("drop", () => {
    const drop = async (queue = "q") => {
      let receipt;
      do receipt = await broker.dropQueue(queue, { force: true, limit: 7 }, by, nowMs);
      while (receipt === "more");
      return receipt;
    };

    const dropped = acted("drop", JSON.stringify({ queue: "q", acts: 0 }), 0);

    it("leaves no key of the queue, whoever made it, and each of the others", async () => {
      for (const state of [...sets, "pending"] as const) await put(state, state);
      for (let n = 0; n < 20; n++) await put(`p${n}`, "pending");
      await put("aside", "archived", { key: "holdfast:{q}:archived" });
      await putInGroup("grouped", "g");
      await putInGroup("aggregated", "g", ":0b2f");
      await server.admin.zadd("asynq:{q}:aggregation_sets", nowS, "asynq:{q}:g:g:0b2f");
      await put("orphan", "archived");
      await server.admin.zrem("asynq:{q}:archived", "orphan");
      for (const key of [
        "asynq:{q}:paused",
        "asynq:{q}:processed",
        "asynq:{q}:failed:2026-11-22",
        "asynq:{q}:unique:test:plain:left",
        "holdfast:{q}:done:170",
        "holdfast:{q}:tick:1",
      ]) {
        await server.admin.set(key, "1");
      }
      await server.admin.sadd("asynq:queues", "q2");
      const others = ["asynq:{q2}:pending", "asynq:{[q]}:pending", "other:{q}:x", "asynq:{q}"];
      for (const key of others) await server.admin.set(key, "1");
      for (let n = 0; n < 12_000; n++) server.admin.set(`filler:${n}`, "1").catch(() => undefined);

      expect(await drop()).toBe("dropped");

      const left = (await server.admin.keys("*")).filter(
        (key) => !key.startsWith("filler:") && !["holdfast:schema", "holdfast:data", "holdfast:audit"].includes(key),
      );
      expect(left.toSorted()).toEqual([...others, "asynq:queues"].toSorted());
      expect(await server.admin.smembers("asynq:queues")).toEqual(["q2"]);
    });

    it("takes a name for what it is, not for a pattern", async () => {
      const name = "a*[b]?\\c^-";
      await server.admin.sadd("asynq:queues", name);
      await server.admin.set(`asynq:{${name}}:processed`, "1");
      await server.admin.set("asynq:{aXb?cX}:processed", "1");

      expect(await drop(name)).toBe("dropped");

      expect(await keyspace(server.admin)).toEqual({
        "asynq:queues": ["q"],
        "asynq:{aXb?cX}:processed": "1",
        "holdfast:audit": [acted("drop", JSON.stringify({ queue: name, acts: 0 }), 0)],
      });
    });

    it("leaves a queue alone whose keys begin like its own, as old clients could name one", async () => {
      const legacy = "q}:b";
      await put("a", "pending");
      await server.admin.sadd("asynq:queues", legacy, "q}");
      const others = [
        `asynq:{${legacy}}:pending`,
        `asynq:{${legacy}}:t:1`,
        `holdfast:{${legacy}}:audit`,
        "asynq:{q}}:t:1",
      ];
      for (const key of others) await server.admin.set(key, "1");

      expect(await drop()).toBe("dropped");

      expect((await server.admin.keys("*{q*")).toSorted()).toEqual(others.toSorted());
      expect(await drop(legacy)).toBe("dropped");
      expect(await server.admin.keys("*{q*")).toEqual(["asynq:{q}}:t:1"]);
    });

    it("goes on where it was interrupted", async () => {
      for (let n = 0; n < 20; n++) await put(`p${n}`, "pending");
      expect(await broker.dropQueue("q", { force: true, limit: 7 }, by, nowMs)).toBe("more");
      expect(await keyspace(server.admin)).toMatchObject({
        "asynq:{q}:paused": `${nowS}`,
        "holdfast:{q}:drop": "begun",
        "holdfast:{q}:pause": { actor: "ops", reason: "why" },
        "holdfast:{q}:audit": [acted("drop", "", 0)],
      });
      expect((await broker.queues(nowMs))[0]?.counts.pending).toBe(13);

      expect(await drop()).toBe("dropped");

      expect(await keyspace(server.admin)).toEqual({ "holdfast:audit": [dropped] });
    });

    it("of a queue whose keys are something else removes them all the same", async () => {
      for (const name of ["pending", "active", "lease", "scheduled", "groups", "aggregation_sets", "paused"]) {
        await server.admin.hset(`asynq:{q}:${name}`, "in", "the way");
      }
      for (const name of ["drop", "pause", "audit"]) await server.admin.rpush(`holdfast:{q}:${name}`, "in the way");

      expect(await drop()).toBe("dropped");

      expect(await keyspace(server.admin)).toEqual({ "holdfast:audit": [dropped] });
    });
  });
});
