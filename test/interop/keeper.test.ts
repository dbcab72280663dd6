import { afterEach, beforeEach, expect, it } from "vitest";
import type { Broker, Lease, LostLease, TaskRef } from "../../src/broker/broker.js";
import type { NewTask } from "../../src/core/message.js";
import { redisBroker } from "../../src/redis/index.js";
import { newTask, settled } from "../support/builders.js";
import { describeRedis, RedisServer } from "../support/redis-server.js";
import { until } from "../support/until.js";

const leaseMs = 5_000;

const request = () => ({ workerId: "w", requestId: "r", queues: ["bad", "default"], limit: 10, leaseMs, suspects: 0 });

describeRedis("the lease keeper when Redis is away", () => {
  let server: RedisServer;
  let broker: Broker;
  const lost: TaskRef[] = [];
  const errors: unknown[] = [];

  beforeEach(async () => {
    server = await RedisServer.start({ config: { appendonly: "yes", appendfsync: "always" } });
    broker = redisBroker({ url: server.url, timeout: "500ms" });
  });
  afterEach(async () => {
    await broker.close();
    await server.stop();
  });

  it("says so, and renews as soon as it is back", async () => {
    await broker.enqueue([newTask({ id: "a" })], broker.clock.nowMs());
    const [task] = (await broker.exchange({ settle: [], lease: request() }, broker.clock.nowMs())).leased;
    const keeper = broker.keeper({
      leaseMs,
      onLost: (refs) => lost.push(...refs),
      onError: (error) => errors.push(error),
    });
    keeper.hold([{ lease: task!.lease, renewUntilMs: broker.clock.nowMs() + 60_000 }]);

    await server.kill();
    await until("it says that leases are not renewed", () => errors.length > 0);
    await server.start();
    const score = async () => Number(await server.admin.zscore("asynq:{default}:lease", "a")) * 1_000;
    await until("the lease is renewed", async () => (await score()) > task!.lease.untilMs);

    expect(errors[0]).toMatchObject({ code: "BROKER_UNAVAILABLE" });
    expect(lost).toEqual([]);
    expect((await broker.exchange({ settle: [settled.completed(task!)] }, broker.clock.nowMs())).settled).toEqual([
      "settled",
    ]);
  });
});

describeRedis("the lease keeper", () => {
  let server: RedisServer;
  let broker: Broker;
  const lost: LostLease[] = [];
  const problems: unknown[] = [];

  beforeEach(async () => {
    lost.length = 0;
    problems.length = 0;
    server = await RedisServer.start();
    broker = redisBroker({ url: server.url });
    await broker.ping();
  });
  afterEach(async () => {
    await broker.close();
    await server.stop();
  });

  async function leased(...tasks: NewTask[]): Promise<Lease[]> {
    await broker.enqueue(tasks, broker.clock.nowMs());
    const reply = await broker.exchange({ settle: [], lease: request() }, broker.clock.nowMs());
    return reply.leased.map((task) => task.lease);
  }
  const startKeeper = () =>
    broker.keeper({
      leaseMs,
      onLost: (leases) => lost.push(...leases),
      onError: (error) => problems.push(error),
    });
  const untilMs = async (id: string) => Number(await server.admin.zscore("asynq:{default}:lease", id)) * 1_000;

  it(
    "renews a lease that is held anew up to its new bound, as well when this thread is blocked",
    { timeout: 30_000 },
    async () => {
      const [a, b, c] = await leased(newTask({ id: "a" }), newTask({ id: "b" }), newTask({ id: "c" }));
      const keeper = startKeeper();
      const nowMs = broker.clock.nowMs();
      keeper.hold([
        { lease: a!, renewUntilMs: nowMs - 1 },
        { lease: b!, renewUntilMs: nowMs - 1 },
        { lease: c!, renewUntilMs: nowMs + 60_000 },
      ]);
      await until("c is renewed", async () => (await untilMs("c")) > c!.untilMs);
      expect([await untilMs("a"), await untilMs("b")]).toEqual([a!.untilMs, b!.untilMs]);

      keeper.hold([{ lease: a!, renewUntilMs: Number.POSITIVE_INFINITY }]);
      await until("a is renewed", async () => (await untilMs("a")) > a!.untilMs);
      keeper.hold([{ lease: b!, renewUntilMs: nowMs + 60_000 }]);
      // For as long as this takes nobody is told of that: it stands in the log alone.
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 2_500);

      expect(await untilMs("b")).toBeGreaterThan(b!.untilMs);
      expect([lost, problems]).toEqual([[], []]);
    },
  );

  it("renews the leases of other queues when a key of one is in the way, and says so", async () => {
    const tasks = Array.from({ length: 10 }, (_, n) => newTask({ id: `bad-${n}`, queue: "bad" }));
    await broker.enqueue(
      Array.from({ length: 490 }, (_, n) => newTask({ id: `m-${n}`, queue: "bad" })),
      0,
    );
    const bad = await broker.exchange(
      { settle: [], lease: { ...request(), requestId: "many", queues: ["bad"], limit: 500 } },
      broker.clock.nowMs(),
    );
    const others = await leased(...tasks, newTask({ id: "a" }));
    const [a] = await broker
      .exchange({ settle: [], lease: { ...request(), requestId: "a", queues: ["default"] } }, broker.clock.nowMs())
      .then((reply) => reply.leased.map((task) => task.lease));
    await server.admin.del("holdfast:{bad}:leases");
    await server.admin.set("holdfast:{bad}:leases", "in the way");

    // More than one call can take: the bad queue's come first.
    const held = [...bad.leased.map((task) => task.lease), ...others, a!];
    startKeeper().hold(held.map((lease) => ({ lease, renewUntilMs: broker.clock.nowMs() + 60_000 })));
    await until("a is renewed", async () => (await untilMs("a")) > a!.untilMs);

    await until("the problem is told", () => problems.length > 0);
    expect(String(problems[0])).toContain("holdfast:{bad}:leases is a string, not a hash");
    expect(lost).toEqual([]);
  });
});
