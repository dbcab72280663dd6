import { networkInterfaces } from "node:os";
import { describe, expect, it } from "vitest";
import { keysOf } from "../../src/redis/keys.js";
import { Client, connect, type ConnectOptions, defineTask, Worker } from "../../src/index.js";
import { RedisCluster } from "../support/redis-cluster.js";
import { RedisSentinels } from "../support/redis-sentinels.js";
import { describeRedis, RedisServer } from "../support/redis-server.js";
import { until } from "../support/until.js";
import { usersInGuide } from "../support/users-in-guide.js";

const ping = defineTask("ping", { queue: "q0" });

const hasIPv6 = Object.values(networkInterfaces()).some((some) => some?.some(({ address }) => address === "::1"));
if (!hasIPv6) process.stderr.write("SKIPPED, for this machine has no ::1: servers at IPv6 addresses\n");
const describeIPv6: (name: string, body: () => void) => void = hasIPv6 ? describe : describe.skip;

/** Tasks go through all these queues: at once, one after a second, one once more; and an idle worker is woken. */
async function worksThrough(url: string, queues: readonly string[], options: (user: string) => ConnectOptions) {
  const problems: string[] = [];
  const tell = (_: object, sentence: string) => void problems.push(sentence);
  const log = { debug() {}, info() {}, warn: tell, error: tell };
  await using producer = connect(url, { log, ...options("producer") });
  await using at = connect(url, { log, ...options("worker") });
  const client = new Client(producer, { timeout: "30s" });
  const runs: string[] = [];
  const worker = new Worker(at, {
    queues: Object.fromEntries(queues.map((queue) => [queue, 1])),
    concurrency: 10,
    pollInterval: "60s",
    log,
  });
  worker.handle(ping, (_, { id }) => void runs.push(id));
  await worker.start();
  const enqueue = async (how: object) => {
    const receipts = await client.enqueueAll(queues.map((queue) => ping(undefined, { queue, ...how })));
    return receipts.map(({ id }) => id);
  };

  const first = await enqueue({});
  await until("all have run", () => worker.counters().completed === first.length, 20_000);
  // It has looked at each queue and found nothing, and would look again in minutes.
  const later = [...(await enqueue({})), ...(await enqueue({ processIn: "1s" }))];
  const total = first.length + later.length;
  try {
    await until("it was woken", () => worker.counters().completed === total, 20_000);
  } finally {
    await worker.stop();
  }

  expect(runs.toSorted()).toEqual([...first, ...later].toSorted());
  expect(worker.counters()).toMatchObject({ leaseLost: 0, retried: 0, archived: 0 });
  return problems;
}

const deniedBy = async (servers: readonly RedisServer[]) => {
  const logs = (await Promise.all(servers.map(({ admin }) => admin.call("ACL", "LOG")))) as string[][][];
  return new Set(logs.flat().map((entry) => `${entry[9]}: ${entry[7]}`));
};

/** Two queues on each node. */
function queuesOf(cluster: RedisCluster): string[] {
  return cluster.masters.flatMap((master) => {
    const own = Array.from({ length: 50 }, (_, n) => `q${n}`);
    return own.filter((queue) => cluster.masterOf(keysOf(queue).asynq) === master).slice(0, 2);
  });
}

describeRedis("client and worker", () => {
  it("on a Cluster with TLS, as users with few rights", async () => {
    const users = usersInGuide().map((user) => `${user} +cluster|slots +cluster|nodes +asking`);
    await using cluster = await RedisCluster.start(3, { user: users }, { tls: true });
    const tls = { ca: cluster.masters[0]!.certificates!.caText };

    const problems = await worksThrough(cluster.url, queuesOf(cluster), (username) => {
      return { username, password: "secret", tls };
    });

    expect(cluster.url).toMatch(/^rediss-cluster:/);
    expect(await deniedBy(cluster.masters)).toEqual(new Set(["producer: info"]));
    expect(problems.filter((problem) => !problem.includes("INFO is not allowed"))).toEqual([]);
  });

  it("behind Sentinels with TLS, as users with few rights at all of them", async () => {
    const users = usersInGuide().map((user) => `${user} +role`);
    const watcher = "watcher on >watch-pass-w0rd -@all +@connection +sentinel|master";
    await using redis = await RedisSentinels.start({ data: { user: users }, sentinel: { user: [watcher] }, tls: true });
    const tls = { ca: redis.master.certificates!.caText };
    const url = redis.url.replace("://", "://watcher:watch-pass-w0rd@");

    const problems = await worksThrough(url, ["q0", "q1"], (username) => ({ username, password: "secret", tls }));

    expect(redis.url).toMatch(/^rediss-sentinel:/);
    expect(await deniedBy([redis.master, ...redis.sentinels])).toEqual(new Set(["producer: info"]));
    expect(problems.filter((problem) => !problem.includes("INFO is not allowed"))).toEqual([]);
  });

  describeIPv6("at IPv6 addresses", () => {
    it("on one server, with TLS", async () => {
      await using server = await RedisServer.start({ host: "::1", tls: true });

      const problems = await worksThrough(server.url, ["q0", "q1"], () => ({
        tls: { ca: server.certificates!.caText },
      }));

      expect(server.url).toContain("[::1]");
      expect(problems).toEqual([]);
    });

    it("on a Cluster, with 200 queues, and after one of them has moved", async () => {
      await using cluster = await RedisCluster.start(3, {}, { host: "::1" });
      const queues = Array.from({ length: 200 }, (_, n) => `q${n}`);
      const problems = await worksThrough(cluster.url, queues, () => ({}));
      expect(problems).toEqual([]);
      const key = keysOf(queues[0]!).asynq;
      const to = cluster.masters.find((master) => master !== cluster.masterOf(key))!;
      await using before = connect(cluster.url);
      await before.ping();

      await cluster.beginMove(key, to);
      while ((await cluster.moveKeys(key, to, 10)) > 0);
      await cluster.endMove(key, to);
      const [receipt] = await new Client(before).enqueueAll([ping(undefined, { queue: queues[0]! })]);

      expect(cluster.url).toContain("[::1]");
      expect(receipt!.status).toBe("enqueued");
      expect(await to.admin.llen(`${key}pending`)).toBe(1);
    });
  });
});
