import { expect, it } from "vitest";
import { Client, connect, defineTask, Inspector, Worker } from "../../src/index.js";
import { brokerEvents } from "../support/broker-events.js";
import { RedisCluster } from "../support/redis-cluster.js";
import { describeRedis, RedisServer } from "../support/redis-server.js";
import { until } from "../support/until.js";

const silent = () => {};
const quiet = { debug: silent, info: silent, warn: silent, error: silent };
const work = defineTask<{ n: number }>("work");

describeRedis("clients and workers without a spool", () => {
  const eventsOf = brokerEvents();

  it("notice a Redis that comes back empty, and put its queues among all queues again", async () => {
    await using server = await RedisServer.start();
    await using producing = connect(server.url, { log: quiet });
    await using working = connect(server.url, { log: quiet });
    const client = new Client(producing, { timeout: "20s" });
    await client.enqueue(work({ n: 1 }));
    await using worker = new Worker(working, { log: quiet, pollInterval: "50ms" }).handle(work, silent);
    await worker.start();
    await until("the task is done", () => worker.counters().completed === 1);
    await until("both have seen the mark", async () => (await server.admin.exists("holdfast:data")) === 1);

    await server.kill();
    await server.start();
    await producing.ping();

    await until("both have told it", () => eventsOf("dataLost").length === 2, 20_000);
    expect(eventsOf("incarnationChanged").map(({ changed }) => changed)).toEqual([
      ["run id", "replication id", "data"],
      ["run id", "replication id", "data"],
    ]);
    expect(eventsOf("dataLost")[0]).toMatchObject({ problem: expect.stringContaining("other data") });
    await until("the queue is there again", async () => (await new Inspector(working).queues()).length === 1);
  });

  it("all notice one that comes back older, whoever is the first to look", async () => {
    await using server = await RedisServer.start({ config: { save: "3600 1" } });
    await using first = connect(server.url, { log: quiet });
    await using second = connect(server.url, { log: quiet });
    for (const broker of [first, second]) await broker.incarnations(["default"], 2_000);
    await server.admin.save();
    const savedMs = Date.now();
    await until("a moment has passed", () => Date.now() > savedMs);
    for (const broker of [first, second]) await broker.incarnations(["default"], 2_000);
    await server.kill();
    await server.start();
    await first.ping();
    await until("the first has told it", () => eventsOf("dataLost").length === 1, 20_000);

    await second.ping();

    await until("the second has, too", () => eventsOf("dataLost").length === 2, 20_000);
    for (const { keptUntilMs } of eventsOf("dataLost")) {
      expect(keptUntilMs).toBeLessThanOrEqual(savedMs);
      expect(keptUntilMs).toBeGreaterThan(savedMs - 10_000);
    }
  });

  it("tell of a restart with all data when they look, and of no loss, however much was worked off before", async () => {
    await using server = await RedisServer.start({ config: { appendonly: "yes", appendfsync: "always" } });
    const waiting = Array.from({ length: 2_000 }, (_, n) => `asynq:{default}:t:${n}`);
    await server.admin.mset(Object.fromEntries(waiting.map((key) => [key, ""])));
    await using broker = connect(server.url, { log: quiet });
    await new Client(broker).enqueue(work({ n: 1 }));
    await until("it has seen the mark", async () => (await server.admin.exists("holdfast:data")) === 1);
    const seenMs = Number(String(await server.admin.get("holdfast:data")).split(" ")[1]);
    await server.admin.unlink(...waiting);

    await server.kill();
    await server.start();
    await broker.ping();

    await until("it has told it", () => eventsOf("incarnationChanged").length === 1, 20_000);
    expect(eventsOf("incarnationChanged")).toMatchObject([
      { changed: ["run id", "replication id"], keptUntilMs: seenMs },
    ]);
    expect(eventsOf("dataLost")).toEqual([]);
  });

  it("tell that Redis may delete tasks by now, that it has, and that it may no more", async () => {
    await using server = await RedisServer.start();
    const said: object[] = [];
    // The mark among the data may be deleted, too: that is told by itself.
    const log = { ...quiet, error: (data: object) => void ("policy" in data && said.push(data)) };
    await using broker = connect(server.url, { log });
    await using willing = connect(server.url, { log, allowEviction: true });
    await broker.ping();
    await until("it has looked", async () => (await server.admin.info("commandstats")).includes("cmdstat_eval"));
    // A look comes with each connection, and every ten seconds.
    const look = async () => {
      await server.admin.call("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes");
      for (const one of [broker, willing]) await until("it is connected", async () => one.ping().then(() => true));
    };
    const told = () => eventsOf("evicting").map(({ policy, evicted }) => `${policy} ${Math.sign(evicted)}`);

    await server.admin.config("SET", "maxmemory-policy", "allkeys-lru");
    await look();
    await until("the policy is told", () => told().length === 1, 15_000);
    await server.admin.set("big", "x".repeat(1_000_000));
    await server.admin.config("SET", "maxmemory", "1");
    await until("keys were deleted", async () => !/evicted_keys:0\r/.test(await server.admin.info("stats")));
    await server.admin.config("SET", "maxmemory", "0");
    await look();
    await until("so is what was deleted", () => told().length === 2, 15_000);
    await server.admin.config("SET", "maxmemory-policy", "noeviction");
    await look();
    await until("and its end", () => told().length === 3, 15_000);

    expect(told()).toEqual(["allkeys-lru 0", "allkeys-lru 1", "noeviction 0"]);
    expect(said).toHaveLength(2);
    expect(said).toContainEqual(expect.objectContaining({ node: server.place, policy: "allkeys-lru", evicted: 0 }));
  });

  it("notice a Cluster's node that comes back empty, and go by the others", async () => {
    const user = ["looking on nopass +@all ~* &* -cluster|nodes"];
    await using cluster = await RedisCluster.start(3, { user });
    // One that may not ask who has which slots goes by the marks alone, and says so.
    const said: unknown[] = [];
    const log = { ...quiet, warn: (data: object) => void said.push(data) };
    await using looking = connect(cluster.url.replace("//", "//looking:x@"), { log });
    await looking.ping();
    const node = cluster.masterOf("asynq:{a}:");
    expect(node).not.toBe(cluster.masterOf("asynq:{b}:"));
    const marks = async () => {
      const counts = cluster.masters.map(async ({ admin }) => (await admin.keys("holdfast:data:*")).length);
      return (await Promise.all(counts)).every((count) => count === 1);
    };
    await until("each node has its mark", marks, 20_000);
    await using broker = connect(cluster.url, { log: quiet });
    const client = new Client(broker, { timeout: "20s" });
    await client.enqueueAll(["a", "b"].map((queue) => work({ n: 1 }, { queue })));
    // It knows both queues' nodes.
    await broker.incarnations(["a", "b"], 2_000);

    await node.kill();
    await node.start();
    await client.enqueue(work({ n: 2 }, { queue: "a" }));

    await looking.ping("a");
    await until("both have told it", () => eventsOf("dataLost").length === 2, 30_000);
    expect(eventsOf("incarnationChanged")[0]).toMatchObject({
      queues: ["a"],
      changed: expect.arrayContaining(["run id", "data"]),
    });
    expect(eventsOf("dataLost")).toHaveLength(2);
    expect(said).toEqual([expect.objectContaining({ problem: expect.stringContaining("allow +cluster|nodes") })]);
  }, 60_000);
});
