import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from "vitest";
import { silent } from "../../src/core/log.js";
import { keysOf, queuesKey } from "../../src/redis/keys.js";
import { type Broker, Client, connect, defineTask, Inspector, Worker, type WorkerOptions } from "../../src/index.js";
import { recipe } from "../support/recipes.js";
import { RedisCluster } from "../support/redis-cluster.js";
import { describeRedis } from "../support/redis-server.js";
import { until } from "../support/until.js";

const ping = defineTask("ping");

describeRedis("client and worker on a Cluster of three masters", () => {
  let cluster: RedisCluster;
  let broker: Broker;
  let client: Client;
  let worker: Worker | undefined;

  beforeAll(async () => {
    cluster = await RedisCluster.start(3, recipe("Cluster", "redis.conf"));
  });
  afterAll(() => cluster.stop());
  beforeEach(() => {
    broker = connect(cluster.url, { log: silent });
    client = new Client(broker, { timeout: "30s" });
  });
  afterEach(async () => {
    await worker?.stop({ timeout: "0s" });
    await broker.close();
  });

  const masterOf = (queue: string) => cluster.masters.indexOf(cluster.masterOf(keysOf(queue).asynq));
  /** Queues of which each node has as many. */
  function queuesOnAllNodes(name: string, each: number): string[] {
    const found: string[][] = cluster.masters.map(() => []);
    for (let n = 0; found.some((some) => some.length < each); n++)
      found[masterOf(`${name}-${n}`)]!.push(`${name}-${n}`);
    return found.flatMap((some) => some.slice(0, each));
  }
  /** Ids as they were run. */
  async function begin(queues: readonly string[], options: WorkerOptions = {}, handlerMs = 0): Promise<string[]> {
    const runs: string[] = [];
    const all = Object.fromEntries(queues.map((queue) => [queue, 1]));
    worker = new Worker(broker, { queues: all, concurrency: 20, pollInterval: "50ms", log: silent, ...options });
    worker.handle(ping, async (_, { id }) => {
      runs.push(id);
      if (handlerMs > 0) await sleep(handlerMs);
    });
    await worker.start();
    return runs;
  }
  const counts = async (queues: readonly string[]) => {
    const infos = (await broker.queues(broker.clock.nowMs())).filter(({ name }) => queues.includes(name));
    return infos.flatMap((info) => Object.values(info.counts)).reduce((sum, count) => sum + count, 0);
  };

  it("runs 2,000 tasks of six queues on all nodes once each, and leaves nothing", async () => {
    const queues = queuesOnAllNodes("spread", 2);
    const receipts = await client.enqueueAll(
      Array.from({ length: 2_000 }, (_, n) => ping(undefined, { queue: queues[n % queues.length]! })),
    );

    const runs = await begin(queues);
    await until("all have run", () => runs.length >= receipts.length, 60_000);
    await worker!.stop();

    expect(runs.toSorted()).toEqual(receipts.map(({ id }) => id).toSorted());
    expect(await counts(queues)).toBe(0);
    expect((await cluster.admin(queuesKey).smembers(queuesKey)).toSorted()).toEqual(queues.toSorted());
  });

  it("takes the queues in their order, whichever node they are on", async () => {
    const queues = queuesOnAllNodes("strict", 1);
    for (const queue of queues) await client.enqueueAll([1, 2, 3].map(() => ping(undefined, { queue })));
    const order: string[] = [];
    const weights = Object.fromEntries(queues.map((queue, n) => [queue, 9 - n]));
    worker = new Worker(broker, {
      queues: weights,
      strictPriority: true,
      concurrency: 1,
      pollInterval: "50ms",
      log: silent,
    });
    worker.handle(ping, (_, { queue }) => void order.push(queue));

    await worker.drain();

    expect(order).toEqual(queues.flatMap((queue) => [queue, queue, queue]));
  });

  it("renews the leases of queues on all nodes", async () => {
    const queues = queuesOnAllNodes("long", 1);
    await client.enqueueAll(queues.map((queue) => ping(undefined, { queue })));

    const runs = await begin(queues, { leaseDuration: "5s" }, 8_000);
    await until("all are running", () => runs.length === 3);
    await until("all are done", async () => (await counts(queues)) === 0, 20_000);

    expect(runs).toHaveLength(3);
  });

  it("takes and starts nothing on any node during maintenance, and says what to type for a failover", async () => {
    const queues = queuesOnAllNodes("still", 1);
    const requests = queues.map((queue) => ping(undefined, { queue }));
    await client.enqueueAll(requests);
    const inspector = new Inspector(broker);
    const { servers, active } = await inspector.beginMaintenance({ reason: "a new disk" });
    expect([servers.length, active]).toEqual([3, 0]);
    const runs = await begin(queues);
    const tried = requests.map((request) =>
      client.enqueue(request, { timeout: "1s" }).catch((error: Error) => error.message),
    );
    for (const told of await Promise.all(tried)) expect(told).toMatch(/maintenance until .*: a new disk/);
    await expect(inspector.failOver()).rejects.toThrow("CLUSTER FAILOVER on a replica of each shard");
    expect(runs).toEqual([]);

    expect((await inspector.endMaintenance()).queues).toEqual(expect.arrayContaining(queues));
    await until("all run", () => runs.length === queues.length);
  });

  it("loses and doubles nothing while a queue's slot moves to another node", async () => {
    const queues = queuesOnAllNodes("moving", 1);
    const moving = queues[0]!;
    const key = keysOf(moving).asynq;
    const to = cluster.masters[(masterOf(moving) + 1) % 3]!;
    const confirmed: string[] = [];
    const fill = async (count: number) => {
      const receipts = await client.enqueueAll(
        Array.from({ length: count }, (_, n) => ping(undefined, { queue: queues[n % 3]! })),
      );
      confirmed.push(...receipts.map(({ id }) => id));
    };
    await fill(900);
    const runs = await begin(queues, { concurrency: 5 }, 10);
    await until("work has begun", () => runs.length > 50);

    await cluster.beginMove(key, to);
    const during = fill(60);
    let moved = 0;
    for (let some = 1; some > 0; moved += some) some = await cluster.moveKeys(key, to, 5);
    await cluster.endMove(key, to);
    await during;
    await fill(60);
    await until("all have run", () => runs.length >= confirmed.length, 60_000);
    await worker!.stop();

    expect(moved).toBeGreaterThan(100);
    expect(runs.toSorted()).toEqual(confirmed.toSorted());
    expect(await counts(queues)).toBe(0);
  });
});
