import { expect, it } from "vitest";
import type { Broker, LeasedTask, LeaseRequest } from "../../src/broker/broker.js";
import { newId } from "../../src/core/ids.js";
import { bytesOf, failure, message, newTask, settled } from "../support/builders.js";
import { keyspace } from "../support/keyspace.js";
import { onRedis } from "../support/on-redis.js";
import { describeRedis, type RedisServer } from "../support/redis-server.js";

/**
 * Every move of a task on Redis, with all keys, types, fields and scores that it leaves. What starts with `asynq:` is
 * what Go's asynq writes and reads; what starts with `holdfast:`, and the fields `hf_…`, is ours.
 */
describeRedis("transitions on Redis", () => {
  let server: RedisServer;
  let broker: Broker;
  // Storage keeps whole seconds: now is rounded down, times to come are rounded up.
  const nowS = Math.floor(Date.now() / 1_000);
  const nowMs = nowS * 1_000 + 500;
  const nowNs = `${nowMs}000000`;
  const day = new Date(nowMs).toISOString().slice(0, 10);
  const failedOnce = failure({ startedAtMs: nowMs });

  onRedis((site) => ({ server, broker } = site));

  const request = (fields: Partial<LeaseRequest> = {}): LeaseRequest => ({
    workerId: "w1",
    requestId: "request-1",
    queues: ["default"],
    limit: 10,
    leaseMs: 30_000,
    suspects: 1,
    ...fields,
  });

  async function lease(fields: Partial<LeaseRequest> = {}): Promise<LeasedTask[]> {
    return (await broker.exchange({ settle: [], lease: request(fields) }, nowMs)).leased;
  }

  const settle = async (...settlements: Parameters<Broker["exchange"]>[0]["settle"][number][]) =>
    (await broker.exchange({ settle: settlements }, nowMs)).settled;

  it("new → pending", async () => {
    await broker.enqueue([newTask({ id: "a" }), newTask({ id: "b" })], nowMs);

    expect(await keyspace(server.admin)).toEqual({
      "asynq:queues": ["default"],
      "asynq:{default}:pending": ["b", "a"],
      "asynq:{default}:t:a": { msg: bytesOf(message({ id: "a" })), state: "pending", pending_since: nowNs },
      "asynq:{default}:t:b": { msg: bytesOf(message({ id: "b" })), state: "pending", pending_since: nowNs },
    });
  });

  it("new → scheduled", async () => {
    await broker.enqueue([newTask({ id: "a" }, { processAtMs: nowMs + 60_000 })], nowMs);

    expect(await keyspace(server.admin)).toEqual({
      "asynq:queues": ["default"],
      "asynq:{default}:scheduled": { a: `${nowS + 61}` },
      "asynq:{default}:t:a": { msg: bytesOf(message({ id: "a" })), state: "scheduled" },
    });
  });

  it("new → pending with a unique lock, and at most once", async () => {
    const uniqueKey = "asynq:{default}:unique:test:plain:";
    await broker.enqueue([newTask({ id: "a", uniqueKey }, { uniqueForMs: 60_000, atMostOnce: true })], nowMs);

    expect(await keyspace(server.admin)).toEqual({
      "asynq:queues": ["default"],
      "asynq:{default}:pending": ["a"],
      "asynq:{default}:t:a": {
        msg: bytesOf(message({ id: "a", uniqueKey })),
        state: "pending",
        pending_since: nowNs,
        unique_key: uniqueKey,
        hf_once: "1",
      },
      [uniqueKey]: "a",
    });
    expect(await server.admin.ttl(uniqueKey)).toBeGreaterThan(57);
    expect(await server.admin.ttl(uniqueKey)).toBeLessThanOrEqual(60);
  });

  it("pending → active: the tail of pending runs first, the head of active started last", async () => {
    await broker.enqueue([newTask({ id: "a" }), newTask({ id: "b" }), newTask({ id: "c" })], nowMs);

    const leased = await lease({ limit: 2 });

    expect(leased.map((task) => task.lease)).toEqual([
      { queue: "default", id: "a", token: "request-1", untilMs: (nowS + 31) * 1_000 },
      { queue: "default", id: "b", token: "request-1", untilMs: (nowS + 31) * 1_000 },
    ]);
    expect(await keyspace(server.admin)).toEqual({
      "asynq:queues": ["default"],
      "asynq:{default}:pending": ["c"],
      "asynq:{default}:active": ["b", "a"],
      "asynq:{default}:lease": { a: `${nowS + 31}`, b: `${nowS + 31}` },
      "asynq:{default}:t:a": { msg: bytesOf(message({ id: "a" })), state: "active" },
      "asynq:{default}:t:b": { msg: bytesOf(message({ id: "b" })), state: "active" },
      "asynq:{default}:t:c": { msg: bytesOf(message({ id: "c" })), state: "pending", pending_since: nowNs },
      "holdfast:{default}:leases": {
        a: `${"request-1".padEnd(64)}:${nowS + 31}`,
        b: `${"request-1".padEnd(64)}:${nowS + 31}`,
      },
      "holdfast:{default}:req:w1": ["request-1", "1", "a", "1", "b"],
    });
    expect(await server.admin.ttl("holdfast:{default}:req:w1")).toBeGreaterThan(57);
  });

  it("active → gone: completed without retention, and revoked", async () => {
    const uniqueKey = "asynq:{default}:unique:test:plain:";
    const young = newId(nowMs);
    await broker.enqueue([newTask({ id: young, uniqueKey }, { uniqueForMs: 60_000 }), newTask({ id: "b" })], nowMs);
    const [a, b] = await lease();

    expect(await settle(settled.completed(a!), settled.revoked(b!))).toEqual(["settled", "settled"]);

    const bucket = Math.floor(nowMs / 10_000);
    expect(await keyspace(server.admin)).toEqual({
      "asynq:queues": ["default"],
      "asynq:{default}:processed": "2",
      [`asynq:{default}:processed:${day}`]: "2",
      [`holdfast:{default}:done:${bucket}`]: [young],
      "holdfast:{default}:req:w1": ["request-1", "1", young, "1", "b"],
    });
    expect(await server.admin.expiretime(`asynq:{default}:processed:${day}`)).toBe(nowS + 90 * 86_400);
    expect(await server.admin.ttl("asynq:{default}:processed")).toBe(-1);
    expect(await server.admin.ttl(`holdfast:{default}:done:${bucket}`)).toBeGreaterThan(170);
  });

  it("active → gone, and remembered for as long as a spool may send it again", async () => {
    const bucket = Math.floor(nowMs / 10_000);
    const remembered = `holdfast:{default}:spooled:${bucket}`;
    const spooled = (ms: number, fields = {}) =>
      newTask({ id: newId(bucket * 10_000), ...fields }, { repeat: true, spooled: ms });
    const finish = async (...tasks: ReturnType<typeof spooled>[]) => {
      await broker.enqueue(tasks, nowMs);
      await settle(...(await lease({ requestId: newId(nowMs) })).map((task) => settled.completed(task)));
      await broker.prune(["default"], 10, nowMs + 5_000);
      return server.admin.ttl(remembered);
    };

    const usual = await finish(spooled(900_000));
    expect([usual > 890, usual <= 900]).toEqual([true, true]);
    expect(await finish(spooled(4_500_000), spooled(900_000))).toBeGreaterThan(4_490);
    expect(await finish(spooled(900_000), spooled(900_000, { retentionMs: 1_000 }))).toBeGreaterThan(4_490);
    expect(await finish(spooled(9_000_000, { retentionMs: 1_000 }))).toBeGreaterThan(8_990);
    expect(await server.admin.scard(remembered)).toBe(6);
  });

  it("active → completed, with its result", async () => {
    const uniqueKey = "asynq:{default}:unique:test:plain:";
    await broker.enqueue([newTask({ id: "a", retentionMs: 3_600_000, uniqueKey }, { uniqueForMs: 60_000 })], nowMs);
    const [a] = await lease();

    await settle(settled.completed(a!, Buffer.from([0, 255])));

    expect(await keyspace(server.admin)).toMatchObject({
      "asynq:{default}:completed": { a: `${nowS + 3_600}` },
      "asynq:{default}:t:a": {
        msg: bytesOf(message({ id: "a", retentionMs: 3_600_000, uniqueKey, completedAtMs: nowS * 1_000 })),
        state: "completed",
        result: "00ff",
        unique_key: uniqueKey,
      },
      "asynq:{default}:processed": "1",
    });
    expect(
      await server.admin.exists(
        uniqueKey,
        "asynq:{default}:active",
        "asynq:{default}:lease",
        "holdfast:{default}:leases",
      ),
    ).toBe(0);
  });

  it("active → retry, counted as a failure", async () => {
    await broker.enqueue([newTask({ id: "a" })], nowMs);
    const [a] = await lease();

    await settle({ task: a!, outcome: { kind: "retry", atMs: nowMs + 15_000, counts: true, failure: failedOnce } });

    expect(await keyspace(server.admin)).toEqual({
      "asynq:queues": ["default"],
      "asynq:{default}:retry": { a: `${nowS + 16}` },
      "asynq:{default}:t:a": {
        msg: bytesOf(message({ id: "a", retried: 1, lastError: "boom", lastFailedAtMs: nowS * 1_000 })),
        state: "retry",
        hf_failure: JSON.stringify(failedOnce),
      },
      "asynq:{default}:processed": "1",
      "asynq:{default}:failed": "1",
      [`asynq:{default}:processed:${day}`]: "1",
      [`asynq:{default}:failed:${day}`]: "1",
      "holdfast:{default}:req:w1": ["request-1", "1", "a"],
    });
    expect(await server.admin.expiretime(`asynq:{default}:failed:${day}`)).toBe(nowS + 90 * 86_400);
  });

  it("active → retry, not counted, as RetryAfter asks for", async () => {
    await broker.enqueue([newTask({ id: "a" })], nowMs);
    const [a] = await lease();

    await settle({ task: a!, outcome: { kind: "retry", atMs: nowMs + 15_000, counts: false, failure: failedOnce } });

    expect(await keyspace(server.admin)).toEqual({
      "asynq:queues": ["default"],
      "asynq:{default}:retry": { a: `${nowS + 16}` },
      "asynq:{default}:t:a": {
        msg: bytesOf(message({ id: "a", lastError: "boom", lastFailedAtMs: nowS * 1_000 })),
        state: "retry",
        hf_failure: JSON.stringify(failedOnce),
        hf_returns: "1",
      },
      "holdfast:{default}:req:w1": ["request-1", "1", "a"],
    });
  });

  it("active → archived; the unique lock stays, as in asynq", async () => {
    const uniqueKey = "asynq:{default}:unique:test:plain:";
    await broker.enqueue([newTask({ id: "a", uniqueKey }, { uniqueForMs: 60_000 })], nowMs);
    const [a] = await lease();

    await settle({ task: a!, outcome: { kind: "archived", failure: failedOnce } });

    expect(await keyspace(server.admin)).toEqual({
      "asynq:queues": ["default"],
      "asynq:{default}:archived": { a: `${nowS}` },
      "asynq:{default}:t:a": {
        msg: bytesOf(message({ id: "a", uniqueKey, lastError: "boom", lastFailedAtMs: nowS * 1_000 })),
        state: "archived",
        unique_key: uniqueKey,
        hf_failure: JSON.stringify(failedOnce),
      },
      [uniqueKey]: "a",
      "asynq:{default}:processed": "1",
      "asynq:{default}:failed": "1",
      [`asynq:{default}:processed:${day}`]: "1",
      [`asynq:{default}:failed:${day}`]: "1",
      "holdfast:{default}:unindexed": ["a"],
      "holdfast:{default}:req:w1": ["request-1", "1", "a"],
    });
  });

  it("active → pending, given back: to the front, in the order of before", async () => {
    await broker.enqueue([newTask({ id: "a" }), newTask({ id: "b" }), newTask({ id: "c" })], nowMs);
    const [a, b] = await lease({ limit: 2 });

    await settle(settled.released(a!), settled.released(b!));

    expect(await keyspace(server.admin)).toEqual({
      "asynq:queues": ["default"],
      "asynq:{default}:pending": ["c", "b", "a"],
      "asynq:{default}:t:a": {
        msg: bytesOf(message({ id: "a" })),
        state: "pending",
        pending_since: nowNs,
        hf_returns: "1",
      },
      "asynq:{default}:t:b": {
        msg: bytesOf(message({ id: "b" })),
        state: "pending",
        pending_since: nowNs,
        hf_returns: "1",
      },
      "asynq:{default}:t:c": { msg: bytesOf(message({ id: "c" })), state: "pending", pending_since: nowNs },
      "holdfast:{default}:req:w1": ["request-1", "1", "a", "1", "b"],
    });
  });

  it("active → pending by reclaim: to the front, the oldest first, one crash more", async () => {
    await broker.enqueue([newTask({ id: "a" }), newTask({ id: "b" }), newTask({ id: "c" })], nowMs);
    await lease({ limit: 2 });
    const laterMs = nowMs + 31_000;

    const receipts = await broker.reclaim(["default"], 10, laterMs);

    expect(receipts).toEqual([
      { queue: "default", id: "a", to: "pending", crashes: 1 },
      { queue: "default", id: "b", to: "pending", crashes: 1 },
    ]);
    const since = `${laterMs}000000`;
    expect(await keyspace(server.admin)).toEqual({
      "asynq:queues": ["default"],
      "asynq:{default}:pending": ["c", "b", "a"],
      "asynq:{default}:t:a": {
        msg: bytesOf(message({ id: "a" })),
        state: "pending",
        pending_since: since,
        hf_crashes: "1",
      },
      "asynq:{default}:t:b": {
        msg: bytesOf(message({ id: "b" })),
        state: "pending",
        pending_since: since,
        hf_crashes: "1",
      },
      "asynq:{default}:t:c": { msg: bytesOf(message({ id: "c" })), state: "pending", pending_since: nowNs },
      "holdfast:{default}:req:w1": ["request-1", "1", "a", "1", "b"],
    });
  });

  it("active → archived by reclaim: after the third crash, and an at-most-once task at the first", async () => {
    await broker.enqueue([newTask({ id: "a" }), newTask({ id: "once" }, { atMostOnce: true })], nowMs);
    await lease();
    await server.admin.hset("asynq:{default}:t:a", "hf_crashes", "2");
    const laterS = nowS + 31;

    const receipts = await broker.reclaim(["default"], 10, laterS * 1_000);

    expect(receipts).toEqual([
      { queue: "default", id: "a", to: "archived", crashes: 3 },
      { queue: "default", id: "once", to: "archived", crashes: 1 },
    ]);
    expect(await keyspace(server.admin)).toMatchObject({
      "asynq:{default}:archived": { a: `${laterS}`, once: `${laterS}` },
      "asynq:{default}:t:a": { state: "archived", hf_crashes: "3" },
      "asynq:{default}:t:once": { state: "archived", hf_crashes: "1" },
      "asynq:{default}:processed": "2",
      "asynq:{default}:failed": "2",
    });
    const [a, once] = await broker.find([
      { queue: "default", id: "a" },
      { queue: "default", id: "once" },
    ]);
    expect(a).toMatchObject({
      failure: { reason: "quarantined" },
      message: { lastFailedAtMs: laterS * 1_000, retried: 0 },
    });
    expect(a!.message!.lastError).toBe(a!.failure!.message);
    expect(once).toMatchObject({ failure: { reason: "lease_expired" }, archivedAtMs: laterS * 1_000 });
    expect(
      await server.admin.exists("asynq:{default}:active", "asynq:{default}:lease", "holdfast:{default}:leases"),
    ).toBe(0);
  });

  it("a Go worker's lease is left alone for 30 s after it ran out", async () => {
    await broker.enqueue([newTask({ id: "a" })], nowMs);
    await server.admin.rpoplpush("asynq:{default}:pending", "asynq:{default}:active");
    await server.admin.zadd("asynq:{default}:lease", nowS, "a");
    await server.admin.hset("asynq:{default}:t:a", "state", "active");

    expect(await broker.reclaim(["default"], 10, nowMs + 29_000)).toEqual([]);
    expect(await broker.reclaim(["default"], 10, nowMs + 30_000)).toEqual([
      { queue: "default", id: "a", to: "pending", crashes: 1 },
    ]);
  });

  it("pending → archived: a message that cannot be decoded keeps its bytes, and its neighbours run", async () => {
    await broker.enqueue([newTask({ id: "a" }), newTask({ id: "bad" }), newTask({ id: "c" })], nowMs);
    await server.admin.hset("asynq:{default}:t:bad", "msg", Buffer.from("0aff", "hex"));

    expect((await lease()).map((task) => task.lease.id)).toEqual(["a", "c"]);

    expect(await keyspace(server.admin)).toMatchObject({
      "asynq:{default}:archived": { bad: `${nowS}` },
      "asynq:{default}:t:bad": { msg: "0aff", state: "archived" },
      "asynq:{default}:active": ["c", "a"],
    });
    const [bad] = await broker.find([{ queue: "default", id: "bad" }]);
    expect(bad).toMatchObject({ state: "archived", message: undefined, failure: { reason: "decode_error" } });
  });

  it("scheduled, retry → pending", async () => {
    await broker.enqueue(
      [
        newTask({ id: "a" }, { processAtMs: nowMs + 1_000 }),
        newTask({ id: "b" }),
        newTask({ id: "later" }, { processAtMs: nowMs + 60_000 }),
      ],
      nowMs,
    );
    const [b] = await lease();
    await settle(settled.retry(b!, nowMs + 1_000));
    await server.admin.del("holdfast:{default}:req:w1");

    expect(await broker.promote(["default"], 10, nowMs)).toEqual({ moved: 0, nextDueMs: (nowS + 2) * 1_000 });
    expect(await broker.promote(["default"], 10, nowMs + 2_000)).toEqual({ moved: 2, nextDueMs: (nowS + 61) * 1_000 });

    const since = `${nowMs + 2_000}000000`;
    expect(await keyspace(server.admin)).toMatchObject({
      "asynq:{default}:pending": ["b", "a"],
      "asynq:{default}:scheduled": { later: `${nowS + 61}` },
      "asynq:{default}:t:a": { state: "pending", pending_since: since },
      "asynq:{default}:t:b": { state: "pending", pending_since: since },
    });
    expect(await server.admin.exists("asynq:{default}:retry")).toBe(0);
  });

  it("completed → gone remembers ids that may still be repeated: young ones of ours", async () => {
    const [young, old] = [newId(nowMs), "01890a5d-ac96-774b-bcce-b302099a8057"];
    await broker.enqueue(
      [young, old, "order-42"].map((id) => newTask({ id, retentionMs: 1_000 })),
      nowMs,
    );
    await settle(...(await lease()).map((task) => settled.completed(task)));

    expect(await broker.prune(["default"], 10, nowMs + 5_000)).toBe(3);

    const done = `holdfast:{default}:done:${Math.floor(nowMs / 10_000)}`;
    expect(await server.admin.keys("holdfast:{default}:done:*")).toEqual([done]);
    expect(await server.admin.smembers(done)).toEqual([young]);
    expect(await server.admin.ttl(done)).toBeGreaterThan(170);
  });

  it("completed → gone, when its retention is over", async () => {
    await broker.enqueue([newTask({ id: "a", retentionMs: 5_000 })], nowMs);
    const [a] = await lease();
    await settle(settled.completed(a!));
    await server.admin.del("holdfast:{default}:req:w1");

    expect(await broker.prune(["default"], 10, nowMs + 4_000)).toBe(0);
    expect(await broker.prune(["default"], 10, nowMs + 5_000)).toBe(1);

    expect(await keyspace(server.admin)).toEqual({
      "asynq:queues": ["default"],
      "asynq:{default}:processed": "1",
      [`asynq:{default}:processed:${day}`]: "1",
    });
  });

  it("counts as asynq does: after the largest number comes 1, for failures too", async () => {
    const largest = "9223372036854775807";
    await server.admin.mset("asynq:{default}:processed", largest, "asynq:{default}:failed", "77");
    await broker.enqueue([newTask({ id: "a" }), newTask({ id: "b" }), newTask({ id: "c" })], nowMs);
    const [a, b, c] = await lease();

    await settle(settled.completed(a!));
    expect(await server.admin.mget("asynq:{default}:processed", "asynq:{default}:failed")).toEqual(["1", "77"]);

    await server.admin.set("asynq:{default}:processed", largest);
    await settle(settled.retry(b!, nowMs + 1_000));
    expect(await server.admin.mget("asynq:{default}:processed", "asynq:{default}:failed")).toEqual(["1", "1"]);

    await server.admin.set("asynq:{default}:processed", "9223372036854775806");
    await settle(settled.completed(c!));
    expect(await server.admin.get("asynq:{default}:processed")).toBe(largest);
  });
});
