import { expect, it } from "vitest";
import { silent } from "../../src/core/log.js";
import { Client, connect, defineTask, Worker } from "../../src/index.js";
import { describeRedis, type RedisServer } from "../support/redis-server.js";
import { recipe } from "../support/recipes.js";
import { RedisSentinels } from "../support/redis-sentinels.js";
import { until } from "../support/until.js";
import { usersInGuide } from "../support/users-in-guide.js";

const ping = defineTask("ping");

describeRedis("client and worker behind Sentinels", () => {
  it("go over to a new master when it is announced, though the old one still answers", async () => {
    const data = recipe("Sentinel", "redis.conf");
    const users = usersInGuide().map((user) => `${user} +role`);
    await using redis = await RedisSentinels.start({
      data: { ...data, user: [...[data["user"]!].flat(), ...users] },
      sentinel: recipe("Sentinel", "sentinel.conf"),
      tls: true,
    });
    const tls = { ca: redis.master.certificates!.caText };
    const url = redis.url.replace("://", "://watcher:watcher-secret@");
    await using broker = connect(url, { username: "worker", password: "secret", tls, log: silent });
    let taken = () => {};
    await using worker = new Worker(broker, { log: silent }).handle(ping, () => taken());
    await worker.start();
    await redis.sentinels[0]!.admin.call("SENTINEL", "FAILOVER", "tasks");
    const port = String(redis.replica.port);
    await until(
      "a majority announces it",
      async () => {
        const ask = (of: RedisServer) =>
          of.admin.call("SENTINEL", "GET-MASTER-ADDR-BY-NAME", "tasks") as Promise<string[]>;
        const says = await Promise.all(redis.sentinels.map(ask));
        return says.filter(([, its]) => its === port).length >= 2;
      },
      20_000,
    );
    const announcedAtMs = performance.now();
    const first = new Promise<void>((resolve) => (taken = resolve));
    await using producer = connect(redis.replica.url, { username: "producer", password: "secret", tls, log: silent });
    await new Client(producer).enqueue(ping());
    await first;

    expect(performance.now() - announcedAtMs).toBeLessThan(3_000);
    expect(await redis.master.admin.llen("asynq:{default}:pending")).toBe(0);
  });

  it("lose no task when the master is changed by hand, the way the guide says", async () => {
    await using redis = await RedisSentinels.start();
    await using broker = connect(redis.url, { log: silent });
    const client = new Client(broker, { timeout: "50s" });
    const confirmed: string[] = [];
    const runs: string[] = [];
    const worker = new Worker(broker, { concurrency: 5, pollInterval: "50ms", log: silent });
    await worker.handle(ping, (_, { id }) => void runs.push(id)).start();
    let filling = true;
    const filled = (async () => {
      while (filling) confirmed.push((await client.enqueue(ping())).id);
    })();
    await until("work is under way", () => runs.length > 100);

    // docs/guide/connecting.md
    await redis.master.admin.call("CLIENT", "PAUSE", 60_000, "WRITE");
    await until("the replica has everything", async () => {
      const info = await redis.master.admin.info("replication");
      return /offset=(\d+)/.exec(info)?.[1] === /master_repl_offset:(\d+)/.exec(info)?.[1];
    });
    const before = confirmed.length;
    await redis.sentinels[0]!.admin.call("SENTINEL", "FAILOVER", "tasks");
    await until("tasks are taken again", () => confirmed.length > before + 100, 30_000);
    filling = false;
    await filled;
    await until("all have run", () => confirmed.every((id) => runs.includes(id)), 30_000);
    await worker.stop();

    expect(await redis.replica.admin.role()).toContain("master");
    expect(await broker.find(confirmed.slice(-1).map((id) => ({ queue: "default", id })))).toEqual([undefined]);
    const [info] = await broker.queues(broker.clock.nowMs());
    expect(Object.values(info!.counts).every((count) => count === 0)).toBe(true);
  });
});
