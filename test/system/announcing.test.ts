import { afterEach, beforeEach, expect, it } from "vitest";
import { type Broker, Client, defineTask, rawBytes, Worker } from "../../src/index.js";
import { encodeServer } from "../../src/core/worker-codec.js";
import { redisBroker } from "../../src/redis/index.js";
import { describeRedis, RedisServer } from "../support/redis-server.js";
import { until } from "../support/until.js";

const blob = defineTask<Uint8Array>("blob", { codec: rawBytes, queue: "q", timeout: "1m" });

describeRedis("a worker that announces itself", () => {
  let server: RedisServer;
  let broker: Broker;
  let worker: Worker;
  let end = () => {};

  beforeEach(async () => {
    server = await RedisServer.start();
    broker = redisBroker({ url: server.url });
    const ended = new Promise<void>((resolve) => (end = resolve));
    worker = new Worker(broker, { concurrency: 7, queues: { q: 2, other: 1 } }).handle(blob, () => ended);
  });
  afterEach(async () => {
    end();
    await worker.stop();
    await broker.close();
    await server.stop();
  });
  const living = () => broker.workers(broker.clock.nowMs());

  /** As one of Go's servers announces itself. */
  async function goServes(queues: Record<string, number>, nowMs: number): Promise<void> {
    const key = "asynq:servers:{go:2:b}";
    const theirs = { host: "go", pid: 2, serverId: "b", concurrency: 1, queues };
    const record = { strictPriority: false, status: "active", startedAtNs: 0n, activeWorkers: 0 };
    await server.admin.set(key, encodeServer({ ...theirs, ...record }));
    await server.admin.zadd("asynq:servers", Math.ceil(nowMs / 1_000) + 10, key);
  }

  it("is seen at once, in asynq's places and for asynq's time, and takes leave when it stops", async () => {
    await worker.start();
    await until("it is seen", async () => (await living()).length === 1);

    expect((await living())[0]).toMatchObject({
      id: worker.id,
      pid: process.pid,
      concurrency: 7,
      queues: { q: 2, other: 1 },
      status: "active",
    });
    const { admin } = server;
    const key = `asynq:servers:{${worker.id}}`;
    expect(await admin.zrange("asynq:servers", "0", "-1")).toEqual([key]);
    expect(await admin.zrange("asynq:workers", "0", "-1")).toEqual([`asynq:workers:{${worker.id}}`]);
    expect(await admin.ttl(key)).toBeGreaterThan(5);
    expect(await admin.ttl(key)).toBeLessThanOrEqual(10);

    await worker.stop();
    expect(await living()).toEqual([]);
    expect((await admin.keys("*")).filter((one) => /servers|workers/.test(one))).toEqual([]);
  });

  it("shows what it runs, without payloads over 4 KB", async () => {
    const client = new Client(broker);
    const small = await client.enqueue(blob(Buffer.alloc(4_096, 1)));
    const large = await client.enqueue(blob(Buffer.alloc(4_097)));
    await worker.start();

    const running = await until(
      "both are shown",
      async () => {
        const [one] = await living();
        return one?.running.length === 2 ? one.running : undefined;
      },
      8_000,
    );

    const sizes = Object.fromEntries(running.map(({ id, payload }) => [id, payload?.length]));
    expect(sizes).toEqual({ [small.id]: 4_096, [large.id]: undefined });
    const [one] = running;
    expect(one).toMatchObject({ queue: "q", type: "blob" });
    expect(one!.limitAtMs - one!.startedAtMs).toBe(60_000);
    expect(await server.admin.hkeys(`asynq:workers:{${worker.id}}`)).toHaveLength(2);
  });

  it("hears which of its queues Go's servers work on, too", async () => {
    const nowMs = broker.clock.nowMs();
    const info = {
      id: "me:1:a",
      host: "me",
      pid: 1,
      concurrency: 1,
      queues: { q: 1, mine: 1 },
      strictPriority: false,
      status: "active" as const,
      startedAtMs: nowMs,
      running: [],
    };
    expect(await broker.announce(info, 10_000, nowMs)).toEqual({ shared: [] });
    await goServes({ q: 6, elsewhere: 1 }, nowMs);
    await server.admin.zadd("asynq:servers", Math.ceil(nowMs / 1_000) + 10, "no server at all");

    expect(await broker.announce(info, 10_000, nowMs)).toEqual({ shared: ["q"] });
    expect((await living()).map(({ id }) => id).toSorted()).toEqual(["go:2:b", "me:1:a"]);

    expect(await broker.announce(info, 10_000, nowMs + 12_000)).toEqual({ shared: [] });
  });

  it("leases nothing ahead while Go's servers work on one of its queues, too", async () => {
    const quick = defineTask("quick", { queue: "q" });
    await goServes({ q: 1 }, broker.clock.nowMs());
    await new Client(broker).enqueueAll(Array.from({ length: 1_500 }, () => quick()));
    worker.handle(quick, () => new Promise((resolve) => setTimeout(resolve, 1)));
    await worker.start();

    let most = 0;
    await until("most have run", async () => {
      most = Math.max(most, await server.admin.llen("asynq:{q}:active"));
      return worker.counters().completed > 1_000;
    });
    expect(most).toBeGreaterThan(0);
    expect(most).toBeLessThanOrEqual(7);
  });

  it("works on when it cannot", async () => {
    await server.admin.set("asynq:servers", "in the way");
    await worker.start();
    end();

    await new Client(broker).enqueue(blob(Buffer.alloc(1)));

    await until("it ran", () => worker.counters().completed === 1);
    expect(worker.counters().completed).toBe(1);
  });
});
