import { expect, it } from "vitest";
import type { Broker } from "../../src/broker/broker.js";
import { encodeMessage } from "../../src/core/codec.js";
import { message, newTask, settled } from "../support/builders.js";
import { keyspace } from "../support/keyspace.js";
import { onRedis } from "../support/on-redis.js";
import { describeRedis, type RedisServer } from "../support/redis-server.js";

const nowS = Math.floor(Date.now() / 1_000);
const nowMs = nowS * 1_000;

describeRedis("an id where its task is not", () => {
  let server: RedisServer;
  let broker: Broker;
  let requests = 0;

  onRedis((site) => ({ server, broker } = site));

  const lease = async (atMs = nowMs) => {
    requests += 1;
    const how = {
      workerId: "w",
      requestId: `r${requests}`,
      queues: ["default"],
      limit: 10,
      leaseMs: 30_000,
      suspects: 1,
    };
    return (await broker.exchange({ settle: [], lease: how }, atMs)).leased;
  };
  const put = (state: string, fields: Record<string, string> = {}) =>
    server.admin.hset("asynq:{default}:t:a", { msg: encodeMessage(message({ id: "a" })), state, ...fields });
  const state = () => server.admin.hget("asynq:{default}:t:a", "state");

  it("in scheduled, while the task runs: it is taken out, and the task is not leased twice", async () => {
    await broker.enqueue([newTask({ id: "a" })], nowMs);
    const [a] = await lease();
    await server.admin.zadd("asynq:{default}:scheduled", nowS, "a");

    expect(await broker.promote(["default"], 10, nowMs)).toEqual({ moved: 1, nextDueMs: undefined });

    expect(await lease()).toEqual([]);
    expect((await broker.exchange({ settle: [settled.completed(a!)] }, nowMs)).settled).toEqual(["settled"]);
  });

  it("in a group, while a key of another type hides where its state says it is: it is not deleted", async () => {
    await put("archived");
    await server.admin.zadd("asynq:{default}:g:team", nowS, "a");
    await server.admin.sadd("asynq:{default}:groups", "team");
    await server.admin.rpush("asynq:{default}:archived", "in the way");
    const by = { actor: "test", reason: "", requestId: "r" };
    const team = { queue: "default", state: "aggregating", group: "team" } as const;

    const deleting = broker.move(team, "deleted", by, { limit: 10 }, nowMs);

    await expect(deleting).rejects.toThrow("asynq:{default}:archived is a list, not a zset");
    expect(await state()).toBe("archived");
  });

  it.each([
    ["archived", "archived"],
    ["completed", "completed"],
    ["retry", "retry"],
  ])("in pending, while the task is %s: it does not run", async (its, set) => {
    await put(its);
    await server.admin.zadd(`asynq:{default}:${set}`, nowS + 1_000, "a");
    await server.admin.lpush("asynq:{default}:pending", "a");

    expect(await lease()).toEqual([]);

    expect(await server.admin.exists("asynq:{default}:pending")).toBe(0);
    expect(await state()).toBe(its);
  });

  it("in pending, of a task whose state nobody knows: it runs", async () => {
    await put("weird");
    await server.admin.lpush("asynq:{default}:pending", "a");

    expect(await lease()).toHaveLength(1);
    expect(await state()).toBe("active");
  });

  it("in active, with a lease that ran out, of a task that has no other place: it goes back to pending", async () => {
    await put("pending");
    await server.admin.lpush("asynq:{default}:active", "a");
    await server.admin.zadd("asynq:{default}:lease", nowS - 100, "a");

    expect(await broker.reclaim(["default"], 10, nowMs)).toMatchObject([{ id: "a", to: "pending", crashes: 1 }]);

    expect(await server.admin.lrange("asynq:{default}:pending", 0, -1)).toEqual(["a"]);
  });

  it.each(["+inf", `${nowS * 1e6}`])("leased until %s: seen twice, a grace apart, it goes back", async (score) => {
    await put("active");
    await server.admin.lpush("asynq:{default}:active", "a");
    await server.admin.zadd("asynq:{default}:lease", score, "a");

    expect(await broker.reclaim(["default"], 10, nowMs)).toEqual([]);
    expect(await broker.reclaim(["default"], 10, nowMs + 30_000)).toMatchObject([{ id: "a", to: "pending" }]);
    expect(await server.admin.exists("asynq:{default}:lease", "asynq:{default}:active")).toBe(0);
  });

  it("in completed, past its time, while the task waits: it is not deleted", async () => {
    await broker.enqueue([newTask({ id: "a" })], nowMs);
    await server.admin.zadd("asynq:{default}:completed", nowS - 1, "a");

    await broker.prune(["default"], 10, nowMs);

    expect(await lease()).toHaveLength(1);
  });

  it("in completed, past its time, of what is neither completed nor anywhere: it is set aside, with all it has", async () => {
    await put("weird", { other: "of somebody else" });
    await server.admin.zadd("asynq:{default}:completed", nowS - 1, "a");

    await broker.prune(["default"], 10, nowMs);

    expect(await keyspace(server.admin)).toMatchObject({
      "asynq:{default}:t:a": { state: "weird", other: "of somebody else" },
      "holdfast:{default}:broken": ["a"],
    });
  });

  it("that is not text: it is archived where it can be seen, and not handed to a worker, who could not settle it", async () => {
    const id = Buffer.from("fffe", "hex");
    const key = Buffer.concat([Buffer.from("asynq:{default}:t:"), id]);
    await server.admin.hset(key, { msg: encodeMessage(message({ id: "a" })), state: "pending" });
    await server.admin.lpush("asynq:{default}:pending", id);

    expect(await lease()).toEqual([]);

    expect(await server.admin.zrangeBuffer("asynq:{default}:archived", 0, "-1")).toEqual([id]);
    expect(await server.admin.hget(key, "hf_failure")).toMatch(/its id is not valid UTF-8/);
  });

  it("due at a time that is none: it keeps nobody from sleeping, and is told as a Date can tell it", async () => {
    await put("scheduled");
    await server.admin.zadd("asynq:{default}:scheduled", "+inf", "a");

    expect(await broker.promote(["default"], 10, nowMs)).toEqual({ moved: 0, nextDueMs: 8.64e15 });
    const [info] = await broker.find([{ queue: "default", id: "a" }]);
    expect(new Date(info!.dueAtMs!).toISOString()).toBe("+275760-09-13T00:00:00.000Z");
  });

  it.each(["-5", "nan", "1e400", "-9223372036854775808", "many"])(
    "with %s crashes and returns: they are counted from there on",
    async (count) => {
      await put("pending", { hf_crashes: count, hf_returns: count });
      await server.admin.lpush("asynq:{default}:pending", "a");

      const [a] = await lease();
      expect(a).toMatchObject({ crashes: 0, returns: 0 });
      await broker.exchange({ settle: [settled.retry(a!, nowMs + 1_000, false)] }, nowMs);
      await broker.promote(["default"], 10, nowMs + 1_000);
      await lease(nowMs + 1_000);
      await broker.reclaim(["default"], 10, nowMs + 60_000);

      expect(await server.admin.hmget("asynq:{default}:t:a", "hf_crashes", "hf_returns")).toEqual(["1", "1"]);
    },
  );
});
