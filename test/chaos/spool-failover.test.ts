import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Redis } from "ioredis";
import { afterEach, beforeEach, expect, it } from "vitest";
import type { Broker } from "../../src/broker/broker.js";
import { silent } from "../../src/core/log.js";
import { Client, connect, defineTask, Worker } from "../../src/index.js";
import { openBroker } from "../../src/redis/open-broker.js";
import type { SpoolStorage } from "../../src/spool/delivery.js";
import { LocalSpool } from "../../src/spool/local-spool.js";
import { MemorySpoolStore } from "../support/memory-spool-store.js";
import { recipe } from "../support/recipes.js";
import { RedisCluster } from "../support/redis-cluster.js";
import { describeRedis } from "../support/redis-server.js";
import { RedisSentinels } from "../support/redis-sentinels.js";
import { until } from "../support/until.js";

const work = defineTask<{ n: number }>("work");
const link = { log: silent, timeout: "500ms" } as const;

/** Tasks of one queue: accepted by one broker's spool, and what became of them. */
class Lane {
  readonly queue: string;
  readonly broker: Broker;
  readonly accepted = new Set<string>();
  readonly ran = new Map<string, number>();

  constructor(queue: string, broker: Broker) {
    this.queue = queue;
    this.broker = broker;
  }

  get lost(): string[] {
    return [...this.accepted].filter((id) => !this.ran.has(id));
  }

  async write(isOver: () => boolean): Promise<void> {
    const client = new Client(this.broker, { accept: "spool" });
    for (let n = 0; !isOver(); n++) {
      const receipts = await client.enqueueAll([
        work({ n }, { queue: this.queue }),
        work({ n }, { queue: this.queue }),
      ]);
      for (const { id } of receipts) this.accepted.add(id);
      await sleep(2);
    }
  }

  async drained(): Promise<void> {
    await until("the spool is empty", async () => (await this.broker.spool!.stats()).tasks === 0, 60_000);
  }

  report(): string {
    const runs = [...this.ran.values()].reduce((sum, count) => sum + count, 0);
    const { replayed } = (this.broker.spool as LocalSpool).counters();
    return `${this.queue}: ${this.accepted.size} accepted, ${this.lost.length} lost, ${replayed} sent again, ${runs} runs`;
  }
}

/** One that believes what it is told: what is answered for is released. */
function hasty(url: string): Broker {
  return openBroker("connect", { ...link, url }, (broker) => {
    const storage: SpoolStorage = {
      label: broker.label,
      clock: broker.clock,
      trustAfterMs: 0,
      enqueue: (...call) => broker.enqueue(...call),
      find: (refs) => broker.find(refs),
      incarnations: async (queues) => queues.map(() => ({ id: "whatever", persistence: "aof" })),
    };
    const store = new MemorySpoolStore();
    return new LocalSpool(storage, { directory: "memory", openStore: async () => store, log: silent });
  });
}

/** Writers write and workers work, too slowly to keep up, while something happens to Redis; then all there is is run. */
async function throughout(url: string, lanes: readonly Lane[], happens: () => Promise<void>): Promise<void> {
  const consumer = connect(url, link);
  const queues = Object.fromEntries(lanes.map(({ queue }) => [queue, 1]));
  let over = false;
  const workerOf = (concurrency: number, ms: number) =>
    new Worker(consumer, { queues, concurrency, pollInterval: "200ms", log: silent }).handle(work, async (_, task) => {
      await sleep(ms);
      const { ran } = lanes.find(({ queue }) => queue === task.queue)!;
      ran.set(task.id, (ran.get(task.id) ?? 0) + 1);
    });
  const slow = workerOf(2, 25);
  await slow.start();
  const writers = lanes.map((lane) => lane.write(() => over));
  await until("work is under way", () => lanes.every(({ ran }) => ran.size > 10), 20_000);
  await happens();
  await until(
    "as many are accepted as prove something",
    () => lanes.every(({ accepted }) => accepted.size > 500),
    30_000,
  );
  over = true;
  await Promise.all(writers);
  await Promise.all(lanes.map((lane) => lane.drained()));
  await slow.stop();
  const quick = workerOf(50, 0);
  await quick.drain();
  await consumer.close();
}

describeRedis("a spool, while Redis changes its master", () => {
  let directory: string;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), "holdfast-failover-"));
  });
  afterEach(() => rmSync(directory, { recursive: true, force: true }));

  it("loses nothing to a failover by hand, where one that trusts replies loses what it was told was taken", async () => {
    await using redis = await RedisSentinels.start();
    await using careful = connect(redis.url, { ...link, spool: { directory, trustAfter: "13s" } });
    await using trusting = hasty(redis.url);
    const lanes = [new Lane("careful", careful), new Lane("trusting", trusting)];
    await throughout(redis.url, lanes, async () => {
      await redis.sentinels[0]!.admin.call("SENTINEL", "FAILOVER", "tasks");
      await until(
        "the other one is the master",
        async () => (await redis.replica.admin.role())[0] === "master",
        30_000,
      );
      await until("the old one follows it", async () => (await redis.master.admin.role())[0] === "slave", 60_000);
    });
    process.stderr.write(`${lanes.map((lane) => lane.report()).join("\n")}\n`);

    expect(lanes[0]!.lost).toEqual([]);
    // Else this would prove nothing.
    expect(lanes[1]!.lost.length).toBeGreaterThan(100);
  });

  it("loses nothing to a replica that becomes the master though it was cut off when tasks came", async () => {
    await using redis = await RedisSentinels.start();
    await using broker = connect(redis.url, { ...link, spool: { directory, trustAfter: "1s" } });
    const client = new Client(broker, { accept: "spool" });
    const pending = (admin: Redis) => admin.llen("asynq:{default}:pending");
    await client.enqueue(work({ n: 0 }));
    await until("both have it", async () => (await pending(redis.replica.admin)) === 1, 20_000);

    redis.replica.freeze();
    await redis.master.admin.call("CLIENT", "KILL", "TYPE", "replica");
    await client.enqueueAll(Array.from({ length: 50 }, (_, n) => work({ n })));
    await until("the master has all", async () => (await pending(redis.master.admin)) === 51, 20_000);
    // Twice as long as what a master acknowledged is kept without a look at its replica.
    await sleep(2_000);
    await redis.master.kill();
    redis.replica.thaw();

    await until("the new master has more than it had", async () => (await pending(redis.replica.admin)) > 1, 60_000);
    await until("the spool has sent all again", async () => (await pending(redis.replica.admin)) === 51, 20_000);
    expect((broker.spool as LocalSpool).counters().replayed).toBeGreaterThanOrEqual(50);
  });

  it("loses nothing on a Cluster, whose shard fails over by hand and then by a kill", async () => {
    await using cluster = await RedisCluster.start(3, recipe("Cluster", "redis.conf"));
    const key = "asynq:{a}:";
    const replica = await cluster.addReplica(key);
    await using broker = connect(cluster.url, { ...link, spool: { directory, trustAfter: "6s" } });
    const lane = new Lane("a", broker);
    await throughout(cluster.url, [lane], async () => {
      await cluster.promote(replica);
      const master = cluster.masterOf(key);
      await until(
        "the old one follows",
        async () => (await master.admin.info()).includes("master_link_status:up"),
        30_000,
      );
      const before = lane.ran.size;
      await until("tasks run", () => lane.ran.size > before + 10, 30_000);
      await replica.kill();
      await until("the old one is the master again", async () => (await master.admin.role())[0] === "master", 30_000);
      // Without a replica the spool would keep what it has for longer.
      await replica.start();
    });
    process.stderr.write(`${lane.report()}\n`);

    expect(lane.lost).toEqual([]);
    expect((broker.spool as LocalSpool).counters().replayed).toBeGreaterThan(0);
  });
});
