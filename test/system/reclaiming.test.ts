import { expect, it } from "vitest";
import { silent } from "../../src/core/log.js";
import { Client, connect, defineTask, type TaskDefinition, Worker } from "../../src/index.js";
import { testBroker } from "../../src/testing/index.js";
import { describeRedis, RedisServer } from "../support/redis-server.js";
import { until } from "../support/until.js";

const lease = { workerId: "dead", requestId: "r", queues: ["default"], limit: 1, leaseMs: 5_000, suspects: 0 };

/** A broker with one task that a worker took and died of, so long ago that its lease ran out. */
async function abandoned(task: TaskDefinition<undefined, void, undefined>) {
  const broker = testBroker();
  await new Client(broker).enqueue(task());
  expect((await broker.exchange({ settle: [], lease }, broker.clock.nowMs())).leased).toHaveLength(1);
  broker.clock.advance("1m");
  return broker;
}

it("drain() runs what a crashed worker left, within seconds whatever the lease", { timeout: 12_000 }, async () => {
  const task = defineTask("left");
  await using broker = await abandoned(task);
  const startedAtMs = performance.now();

  const worker = new Worker(broker, { leaseDuration: "1h", log: silent }).handle(task, () => {});

  expect(await worker.drain()).toMatchObject({ completed: 1 });
  expect(performance.now() - startedAtMs).toBeLessThan(8_000);
});

it("drain() waits for nobody whose lease has not run out", async () => {
  const task = defineTask("held");
  await using broker = testBroker();
  await new Client(broker).enqueue(task());
  await broker.exchange({ settle: [], lease: { ...lease, leaseMs: 30_000 } }, broker.clock.nowMs());
  const startedAtMs = performance.now();

  expect(await new Worker(broker, { log: silent }).handle(task, () => {}).drain()).toMatchObject({ completed: 0 });

  expect(performance.now() - startedAtMs).toBeLessThan(2_000);
});

it(
  "handlers that block the event loop do not keep a worker from taking what a crashed one left",
  { timeout: 20_000 },
  async () => {
    const left = defineTask("left");
    const blocking = defineTask("blocking");
    await using broker = await abandoned(left);
    let ran = 0;
    let over = false;
    // Each look is late by more than the time between two of them and its patience.
    const block = () => {
      for (const endMs = performance.now() + 6_000; performance.now() < endMs;);
      if (!over) void new Client(broker).enqueue(blocking());
    };
    await using worker = new Worker(broker, { leaseDuration: "5s", concurrency: 1, log: silent })
      .handle(left, () => void (ran += 1))
      .handle(blocking, block);
    await worker.start();
    await new Client(broker).enqueue(blocking());

    await until("it runs", () => ran === 1, 15_000).finally(() => (over = true));
    expect(ran).toBe(1);
  },
);

describeRedis("drain() on Redis", () => {
  it("runs what a crashed worker left", { timeout: 20_000 }, async () => {
    await using server = await RedisServer.start();
    await using broker = connect(server.url, { log: silent });
    const task = defineTask("left");
    await new Client(broker).enqueue(task());
    await broker.exchange({ settle: [], lease: { ...lease, leaseMs: 1_000 } }, broker.clock.nowMs());
    const ranOut = async () => {
      const nowMs = broker.clock.nowMs();
      const [queue] = await broker.queues(nowMs, ["default"]);
      return queue!.earliestAtMs!.active! <= nowMs;
    };
    await until("its lease has run out", ranOut, 8_000);

    const worker = new Worker(broker, { leaseDuration: "5s", log: silent }).handle(task, () => {});
    expect(await worker.drain()).toMatchObject({ completed: 1 });
  });
});
