import { afterAll, beforeAll, expect, it } from "vitest";
import { Client, connect, defineTask } from "../../src/index.js";
import { holdfast } from "../support/cli.js";
import { RedisCluster } from "../support/redis-cluster.js";
import { describeRedis } from "../support/redis-server.js";

describeRedis("holdfast on a Redis Cluster", () => {
  let cluster: RedisCluster;
  beforeAll(async () => {
    cluster = await RedisCluster.start();
    await using broker = connect(cluster.url);
    const tasks = ["one", "two", "three", "four"].map((queue) => defineTask("t", { queue })(undefined, { id: queue }));
    await new Client(broker).enqueueAll(tasks);
  });
  afterAll(() => cluster.stop());

  it("sees all nodes and queues, and acts on a task wherever it is", async () => {
    const run = async (...args: string[]) => holdfast(args, { env: { HOLDFAST_URL: cluster.url } });
    const stats = await run("stats");
    const archived = await run("task", "archive", "three", "three", "--reason", "try");
    const shown = await run("task", "show", "three", "--json");
    const removed = await run("queue", "rm", "one", "--force", "--yes");
    const queues = await run("queue", "ls", "--json");

    expect(stats).toMatchObject({ status: 0, stderr: "" });
    expect(stats.stdout).toMatch(/^redis-cluster:.* 3 nodes\n\nQUEUE [^]*\nfour [^]*\nall +4 /);
    expect(archived).toMatchObject({ status: 0, stdout: "archived  three\n" });
    expect(JSON.parse(shown.stdout)).toMatchObject([{ queue: "three", state: "archived" }]);
    expect(removed).toMatchObject({ status: 0, stderr: "" });
    expect(JSON.parse(queues.stdout).map(({ name }: { name: string }) => name)).toEqual(["four", "three", "two"]);
  });
});
