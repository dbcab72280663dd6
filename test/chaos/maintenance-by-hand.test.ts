import { expect, it } from "vitest";
import { silent } from "../../src/core/log.js";
import { Client, connect, defineTask, Inspector, Worker } from "../../src/index.js";
import { FaultProxy } from "../support/fault-proxy.js";
import { RedisCluster } from "../support/redis-cluster.js";
import { describeRedis, RedisServer } from "../support/redis-server.js";
import { until } from "../support/until.js";

const job = defineTask("job");

/** Tasks go in and run without a pause; meanwhile the master is changed by hand, in maintenance. Nothing is lost or runs twice. */
async function changeUnderLoad(url: string, change: () => Promise<void>): Promise<void> {
  await using broker = connect(url, { log: silent });
  const client = new Client(broker, { timeout: "50s" });
  const inspector = new Inspector(broker, { actor: "ann" });
  const accepted: string[] = [];
  const runs: string[] = [];
  await using worker = new Worker(broker, { pollInterval: "100ms", log: silent });
  worker.handle(job, (_, { id }) => void runs.push(id));
  await worker.start();
  let over = false;
  const writing = (async () => {
    while (!over) accepted.push((await client.enqueue(job())).id);
  })();
  const more = async () => {
    const before = runs.length;
    await until("tasks run", () => runs.length > before + 50, 20_000);
  };
  await more();
  expect(await inspector.beginMaintenance({ reason: "new kernel" })).toMatchObject({ ready: true });
  const written = accepted.length;
  await change();
  expect(accepted.length).toBeLessThanOrEqual(written + 1);
  // A connection to the old master may end with the first try.
  const ended = await until("it is ended", () => inspector.endMaintenance());
  expect(ended.queues).toEqual(["default"]);
  await more();
  over = true;
  await writing;
  await until("all have run", () => runs.length >= accepted.length, 20_000);
  await worker.stop();
  expect(runs.toSorted()).toEqual(accepted.toSorted());
}

describeRedis("between the beginning and the end of maintenance", () => {
  it("CLUSTER FAILOVER changes a shard's master", async () => {
    await using cluster = await RedisCluster.start(3);
    const replica = await cluster.addReplica("asynq:{default}:");
    await changeUnderLoad(cluster.url, () => cluster.promote(replica));
    expect((await cluster.admin("asynq:{default}:").role())[0]).toBe("slave");
  });

  it("FAILOVER TO changes a master without Sentinels", async () => {
    await using master = await RedisServer.start();
    await using replica = await RedisServer.start({ config: { replicaof: `127.0.0.1 ${master.port}` } });
    const name = await FaultProxy.to(master.port);
    await until("it follows", async () => (await replica.admin.info()).includes("master_link_status:up"));
    try {
      await changeUnderLoad(name.url, async () => {
        await master.admin.call("FAILOVER", "TO", "127.0.0.1", replica.port, "TIMEOUT", 10_000);
        await until("it is done", async () => (await replica.admin.role())[0] === "master", 15_000);
        name.lead(replica.port);
      });
      expect((await master.admin.role())[0]).toBe("slave");
    } finally {
      await name.refuse();
    }
  });
});
