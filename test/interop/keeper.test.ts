import { afterEach, beforeEach, expect, it } from "vitest";
import type { Broker, TaskRef } from "../../src/broker/broker.js";
import { redisBroker } from "../../src/redis/index.js";
import { newTask, settled } from "../support/builders.js";
import { describeRedis, RedisServer } from "../support/redis-server.js";
import { until } from "../support/until.js";

const leaseMs = 5_000;

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
    const request = { workerId: "w", requestId: "r", queues: ["default"], limit: 1, leaseMs, suspects: 0 };
    const [task] = (await broker.exchange({ settle: [], lease: request }, broker.clock.nowMs())).leased;
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
