import { afterEach, beforeEach, expect, it } from "vitest";
import { type Broker, Client, defineTask, Worker, type WorkerOptions } from "../../src/index.js";
import { redisBroker } from "../../src/redis/index.js";
import { describeRedis, RedisServer } from "../support/redis-server.js";
import { until } from "../support/until.js";

const ping = defineTask<{ atMs: number }>("ping", { queue: "q" });

describeRedis("a worker that is woken", () => {
  let server: RedisServer;
  let broker: Broker;
  let client: Client;
  const workers: Worker[] = [];
  const brokers: Broker[] = [];

  beforeEach(async () => {
    server = await RedisServer.start();
    broker = redisBroker({ url: server.url });
    client = new Client(broker);
  });
  afterEach(async () => {
    await Promise.all(workers.splice(0).map((worker) => worker.stop({ timeout: "0s" })));
    await Promise.all([...brokers.splice(0), broker].map((one) => one.close()));
    await server.stop();
  });

  /** One that never looks by itself, or not in the time of a test. */
  async function startWorker(handler: (payload: { atMs: number }) => void, options: WorkerOptions = {}) {
    const its = redisBroker({ url: server.url });
    brokers.push(its);
    const worker = new Worker(its, { queues: { q: 1 }, pollInterval: "1h", ...options }).handle(ping, handler);
    workers.push(worker);
    await worker.start();
    return worker;
  }
  const calls = async (command: string) =>
    Number(new RegExp(`cmdstat_${command}:calls=(\\d+)`).exec(await server.admin.info("commandstats"))?.[1] ?? 0);

  it("has a task milliseconds after it was enqueued, whether one or several workers wait for it", async () => {
    const delays: number[] = [];
    for (let n = 0; n < 3; n++) {
      await startWorker(({ atMs }) => void delays.push(performance.now() - atMs));
      delays.length = 0;
      for (let sent = 1; sent <= 40; sent++) {
        await client.enqueue(ping({ atMs: performance.now() }));
        await until("it ran", () => delays.length === sent);
      }
      // By itself it would look in an hour; how many milliseconds it is depends on what else the machine does.
      const sorted = delays.toSorted((a, b) => a - b);
      expect(sorted[0]).toBeLessThan(20);
      expect(sorted[20]).toBeLessThan(150);
    }
  });

  it("looks once for a task that it is told of, however many places it has", async () => {
    let ran = 0;
    await startWorker(() => void (ran += 1), { concurrency: 100 });
    const its = brokers.at(-1)!;
    const looks: number[] = [];
    const exchange = its.exchange.bind(its);
    its.exchange = (turn, nowMs) => {
      if (turn.settle.length === 0) looks.push(turn.lease?.limit ?? 0);
      return exchange(turn, nowMs);
    };

    for (let sent = 1; sent <= 11; sent++) {
      // The first comes while it looks by itself, at its start.
      if (sent === 2) looks.length = 0;
      await client.enqueue(ping({ atMs: 0 }));
      await until("it ran", () => ran === sent);
      await until("it is settled", async () => (await its.queues(its.clock.nowMs()))[0]?.counts.active === 0);
    }

    expect(looks).toHaveLength(10);
  });

  it("finds each of many tasks that come while it works, and then waits again without looking", async () => {
    let ran = 0;
    await startWorker(() => void (ran += 1), { concurrency: 3 });
    for (let n = 0; n < 20; n++) {
      await client.enqueueAll(Array.from({ length: 7 }, () => ping({ atMs: 0 })));
      await until("some ran", () => ran > n * 7);
    }
    await until("all ran", () => ran === 140);

    // LINDEX is called by a look for tasks, and by nothing else.
    const before = await calls("lindex");
    // HLEN by maintenance, once a second.
    const maintained = await calls("hlen");
    await until("seconds pass", async () => (await calls("hlen")) >= maintained + 4, 10_000);
    expect((await calls("lindex")) - before).toBeLessThanOrEqual(1);
  });

  it("neither spins on a paused queue, nor starves the others for it, and goes on when it is resumed", async () => {
    const other = defineTask<{ atMs: number }>("other", { queue: "other" });
    let ran = 0;
    let others = 0;
    const worker = await startWorker(() => void (ran += 1), { queues: { q: 10, other: 1 } });
    worker.handle(other, () => void (others += 1));
    await server.admin.set("asynq:{q}:paused", "1700000000");
    const before = await calls("lindex");

    for (let n = 0; n < 50; n++) await client.enqueue(ping({ atMs: 0 }));
    await client.enqueue(other({ atMs: 0 }));
    await until("the other ran", () => others === 1);

    expect(ran).toBe(0);
    expect((await calls("lindex")) - before).toBeLessThan(12);
    await server.admin.del("asynq:{q}:paused");
    await until("all ran", () => ran === 50);
  });

  it("goes on after the server was away", async () => {
    let ran = 0;
    const worker = await startWorker(() => void (ran += 1));
    await server.kill();
    await server.start();
    await until("it is there", () => client.enqueue(ping({ atMs: 0 })));

    await until("it ran", () => ran === 1);
    expect(worker.counters().leaseLost).toBe(0);
  });
});
