import { afterAll, beforeAll, expect, it } from "vitest";
import { Client, connect, defineTask, Inspector, type WorkerInfo } from "../../src/index.js";
import { keysOf, queuesKey, serverKey, serversKey } from "../../src/redis/keys.js";
import { holdfast } from "../support/cli.js";
import { RedisCluster } from "../support/redis-cluster.js";
import { describeRedis } from "../support/redis-server.js";
import { until } from "../support/until.js";

const aWorker = (queues: Readonly<Record<string, number>>, id = "host:1:0199"): WorkerInfo => ({
  id,
  host: "host",
  pid: 1,
  concurrency: 1,
  queues,
  strictPriority: false,
  status: "active",
  startedAtMs: 0,
  running: [],
});

describeRedis("holdfast on a Redis Cluster", () => {
  let cluster: RedisCluster;
  beforeAll(async () => {
    cluster = await RedisCluster.start(3, { "cluster-require-full-coverage": "no", appendonly: "yes" });
    await using broker = connect(cluster.url);
    const tasks = ["one", "two", "three", "four"].map((queue) => defineTask("t", { queue })(undefined, { id: queue }));
    await new Client(broker).enqueueAll(tasks);
  });
  afterAll(() => cluster.stop());

  const run = async (...args: string[]) => holdfast(args, { env: { HOLDFAST_URL: `${cluster.url}?timeout=1s` } });

  it("sees all nodes and queues, and acts on a task wherever it is", async () => {
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

  it("of which a node is away tells of queues and workers on the others, and which it could not ask, as the inspector does", async () => {
    await using broker = connect(`${cluster.url}?timeout=1s`);
    const inspector = new Inspector(broker);
    const names = cluster.masterOf(queuesKey);
    const nodeOf = (queue: string) => cluster.masterOf(keysOf(queue).asynq);
    const some = Array.from({ length: 6 }, (_, n) => `queue-${n}`);
    await new Client(broker).enqueueAll(some.map((queue) => defineTask("t", { queue })(undefined, { id: queue })));
    const all = (await inspector.queues()).map(({ name }) => name);
    // One that has queues and workers, and not the names of all.
    const away = cluster.masters.find((node) => node !== names && node !== cluster.masterOf(serversKey))!;
    const elsewhere = all.filter((queue) => nodeOf(queue) !== away);
    const missing = all
      .filter((queue) => nodeOf(queue) === away)
      .map((name) => ({ name, shard: away.place, problem: expect.stringContaining(away.place) }));
    const [here, there] = [some.find((queue) => elsewhere.includes(queue))!, missing[0]!.name];
    const workers = Array.from({ length: 6 }, (_, n) => aWorker({}, `host:1:${n}`));
    for (const worker of workers) await broker.announce(worker, 60_000, broker.clock.nowMs());
    const [silent, others] = [true, false].map((isSilent) =>
      workers.map(({ id }) => id).filter((id) => (cluster.masterOf(serverKey(id)) === away) === isSilent),
    );

    await away.kill();
    const list = await inspector.queues();
    const { nodes } = await inspector.storage();
    const own = await inspector.queue(there).catch((error: unknown) => error);
    const [living, ofAll, listed, forPrograms, stats, archived, sought] = await Promise.all([
      inspector.workers(),
      broker.workers(broker.clock.nowMs()).catch((error: unknown) => error),
      run("worker", "ls", "--json"),
      run("queue", "ls", "--json"),
      run("stats", "--json"),
      run("task", "archive", here, here),
      run("task", "show", "nowhere"),
    ]);
    await away.start();
    await until("all are told", async () => (await inspector.queues()).unavailable.length === 0, 10_000);
    for (const worker of workers) await broker.withdraw(worker);

    const code = "BROKER_UNAVAILABLE";
    expect(list.map(({ name }) => name)).toEqual(elsewhere);
    expect(list.unavailable).toEqual(missing);
    expect(nodes.map(({ problem }) => problem === undefined)).toEqual(cluster.masters.map((node) => node !== away));
    expect(own).toMatchObject({ code, data: { queues: [there] } });
    expect(living.map(({ id }) => id)).toEqual(others);
    expect(living.unavailable).toEqual(
      silent!.map((id) => ({ id, shard: away.place, problem: expect.stringContaining(away.place) })),
    );
    expect(silent!.length).toBeGreaterThan(0);
    // Who has to know of all: a monitor, say.
    expect(ofAll).toMatchObject({ code, data: { workers: silent } });
    expect(listed.status).toBe(5);
    expect(JSON.parse(listed.stdout).map(({ id }: { id: string }) => id)).toEqual(others);
    expect(JSON.parse(listed.stderr)).toMatchObject({ error: { code, data: { workers: silent } } });
    expect(forPrograms.status).toBe(5);
    expect(JSON.parse(forPrograms.stdout).map(({ name }: { name: string }) => name)).toEqual(elsewhere);
    expect(JSON.parse(forPrograms.stderr)).toMatchObject({
      error: { code, data: { queues: missing.map(({ name }) => name) } },
    });
    expect(stats.status).toBe(5);
    expect(JSON.parse(stats.stdout)).toMatchObject({
      queues: elsewhere.map((name) => ({ name })),
      unavailable: missing,
    });
    expect(archived).toMatchObject({ status: 0, stdout: `archived  ${here}\n` });
    // It may be there: nobody says that it is not.
    expect(sought).toMatchObject({ status: 5, stdout: "" });
  });

  it("of which the node with all queues' names is away tells of those that workers serve, and finds one by its name", async () => {
    await using broker = connect(`${cluster.url}?timeout=1s`);
    const inspector = new Inspector(broker);
    const names = cluster.masterOf(queuesKey);
    const known = (await inspector.queues()).find(({ name }) => cluster.masterOf(keysOf(name).asynq) !== names)!;
    const unknown = Array.from({ length: 100 }, (_, n) => `unknown-${n}`).find(
      (queue) => cluster.masterOf(keysOf(queue).asynq) !== names,
    )!;

    // Workers are listed on another node.
    const worker = aWorker({ [known.name]: 1, [unknown]: 1 });
    await broker.announce(worker, 60_000, broker.clock.nowMs());

    await names.kill();
    const [served, shown, other, listed] = await Promise.all([
      inspector.queues(),
      inspector.queue(known.name),
      inspector.queue(unknown).catch((error: unknown) => error),
      run("queue", "ls"),
    ]);
    await broker.withdraw(worker);
    const hint = "the names of all queues are there: ask for one by its name";
    await expect(inspector.queues()).rejects.toThrow(hint);
    await names.start();

    const { name, counts } = known;
    expect(served.map((queue) => queue.name)).toEqual([name]);
    expect(served.unavailable).toEqual([{ name: "*", shard: "", problem: expect.stringContaining(names.place) }]);
    expect(shown).toMatchObject({ name, counts });
    expect(other).toMatchObject({ code: "BROKER_UNAVAILABLE", data: { queues: [unknown] } });
    expect(listed).toMatchObject({ status: 5, stdout: expect.stringContaining(name) });
    expect(listed.stderr.replaceAll(/\s+/g, " ")).toMatch(
      new RegExp(`other queues could not be asked: .*${names.place}`),
    );
  });
});
