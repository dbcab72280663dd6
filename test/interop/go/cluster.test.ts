import { afterAll, beforeAll, expect, it } from "vitest";
import { silent } from "../../../src/core/log.js";
import { Client, connect, defineTask, Inspector, Worker } from "../../../src/index.js";
import { keysOf } from "../../../src/redis/keys.js";
import { RedisCluster } from "../../support/redis-cluster.js";
import { until } from "../../support/until.js";
import { buildTimeoutMs, describeGo } from "./programs.js";
import { type GoTaskInfo, Witness } from "./witness.js";

const queues = ["a", "b", "c", "d", "we:ird"];

describeGo("Go and TypeScript on a Redis Cluster of three", () => {
  let cluster: RedisCluster;
  let go: Witness;
  let broker: ReturnType<typeof connect>;
  beforeAll(async () => {
    cluster = await RedisCluster.start(3);
    go = await Witness.start(...cluster.masters);
    broker = connect(cluster.url);
  }, buildTimeoutMs);
  afterAll(async () => {
    await go.kill();
    await broker.close();
    await cluster.stop();
  });

  it("work on each other's tasks in queues of every node, and read the same of what is left", async () => {
    const works = defineTask("works");
    const fails = defineTask("fails", { maxRetry: 0 });
    const inspector = new Inspector(broker);
    expect(new Set(queues.map((queue) => cluster.masterOf(keysOf(queue).asynq))).size).toBe(3);

    for (const queue of queues)
      for (const type of ["works", "fails"])
        expect(await go.enqueue({ type, id: `${type} of Go`, queue, maxRetry: 0 })).toEqual([{ id: `${type} of Go` }]);
    const worker = new Worker(broker, { queues: Object.fromEntries(queues.map((name) => [name, 1])), log: silent });
    worker.handle(works, () => {});
    worker.handle(fails, () => {
      throw new Error("no such user");
    });
    await worker.drain();
    await worker.stop();
    const client = new Client(broker);
    for (const queue of queues) {
      await client.enqueue(works(undefined, { id: "works of ours", queue }));
      await client.enqueue(fails(undefined, { id: "fails of ours", queue }));
    }
    const script = { works: {}, fails: { fail: 9, error: "no such user" } };
    await go.serve({ queues: Object.fromEntries(queues.map((name) => [name, 1])), handlers: script });
    const left = async () => inspector.queues();
    await until("Go has run all", async () => (await left()).every(({ processed }) => processed === 4), 15_000);
    await go.stop();

    expect((await go.inspect<string[]>("queues")).toSorted()).toEqual(queues);
    for (const { name, counts, failed } of await left()) {
      expect([name, counts.archived, counts.pending, failed]).toEqual([name, 2, 0, 2]);
      const told = await go.inspect<GoTaskInfo[]>("list", { queue: name, state: "archived" });
      const { items } = await inspector.list({ queue: name, state: "archived" });
      expect(told.map(({ id }) => id)).toEqual(items.map(({ id }) => id));
      expect(told.map(({ id }) => id).toSorted()).toEqual(["fails of Go", "fails of ours"]);
      await go.inspect("run", { queue: name, id: "fails of Go" });
      expect((await inspector.find(name, "fails of Go"))!.state).toBe("pending");
    }
    // Nothing that went over the bounds of a node.
    expect(go.warnings.filter((line) => /CROSSSLOT|MOVED|ERROR/.test(line))).toEqual([]);
  }, 60_000);
});
