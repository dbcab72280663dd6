import { afterEach, beforeEach, expect, it } from "vitest";
import { silent } from "../../src/core/log.js";
import { type Broker, Client, connect, defineTask, Inspector, Worker } from "../../src/index.js";
import { CliHost } from "../support/cli.js";
import { describeRedis, RedisServer } from "../support/redis-server.js";
import { until } from "../support/until.js";

const work = defineTask("work");
const other = defineTask("other", { queue: "other" });

describeRedis("maintenance", () => {
  let server: RedisServer;
  let broker: Broker;
  let client: Client;
  let inspector: Inspector;
  beforeEach(async () => {
    server = await RedisServer.start();
    broker = connect(server.url, { log: silent });
    client = new Client(broker, { timeout: "10s" });
    inspector = new Inspector(broker, { actor: "ann" });
    await client.enqueueAll([work(), other()]);
  });
  afterEach(async () => {
    await broker.close();
    await server.stop();
  });
  const paused = async () => {
    const queues = await inspector.queues();
    return queues.map(({ name, paused: is, pause }) => (is ? `${name}: ${pause?.reason ?? ""}` : name));
  };

  it("refuses tasks with the reason and the end, repeats too, and lets them in again", async () => {
    const { queues, untilMs, ready } = await inspector.beginMaintenance({ for: "1m", reason: "a new disk" });
    expect({ queues, ready }).toEqual({ queues: ["default", "other"], ready: true });
    const says = `maintenance until ${new Date(untilMs).toISOString()}: a new disk`;
    await expect(client.enqueue(work(), { timeout: "1s" })).rejects.toMatchObject({
      code: "BROKER_UNAVAILABLE",
      data: { outcome: "refused", problem: says },
    });
    await expect(client.enqueueAll([work(), other()], { timeout: "1s" })).rejects.toMatchObject({
      data: { problem: says },
    });
    expect(client.health().storage).toMatchObject([{ state: "degraded", reason: says }]);
    expect(await inspector.maintenance()).toMatchObject([
      { queue: "default", untilMs, actor: "ann" },
      { queue: "other" },
    ]);

    expect(await inspector.endMaintenance()).toMatchObject({ queues: ["default", "other"] });
    expect(await client.enqueue(work())).toMatchObject({ status: "enqueued" });
    expect(await inspector.endMaintenance()).toMatchObject({ queues: [] });
    const [act] = (await server.admin.xrevrange("holdfast:{other}:audit", "+", "-", "COUNT", 1)) as [
      string,
      string[],
    ][];
    expect(act![1]).toContain("end maintenance");
  });

  it("starts no task meanwhile, and leaves a person's pause as it is, from before or from meanwhile", async () => {
    await client.enqueue(work(undefined, { queue: "third" }));
    await inspector.pause("other", { reason: "smtp" });
    await inspector.beginMaintenance({ reason: "upgrade" });
    expect(await paused()).toEqual(["default: upgrade", "other: smtp", "third: upgrade"]);
    const ran: string[] = [];
    await using worker = new Worker(broker, { queues: { default: 1, other: 1, third: 1 }, log: silent });
    worker.handle(work, (_payload, { queue }) => void ran.push(queue));
    await worker.start();
    expect(await inspector.pause("third", { reason: "by hand" })).toEqual({ changed: true });

    await inspector.endMaintenance();
    await until("the task of the queue that nobody paused has run", () => ran.length > 0);
    expect(ran).toEqual(["default"]);
    expect(await paused()).toEqual(["default", "other: smtp", "third: by hand"]);
  });

  it("ends by itself", async () => {
    const nowMs = broker.clock.nowMs();
    const by = { actor: "ann", reason: "", requestId: "1" };
    expect(await broker.standstills!.set(["default", "none"], nowMs + 1_500, by, nowMs)).toEqual([
      "changed",
      "notFound",
    ]);
    expect(await paused()).toEqual(["default: ", "other"]);
    expect(await client.enqueue(work())).toMatchObject({ status: "enqueued" });
    expect(broker.clock.nowMs()).toBeGreaterThanOrEqual(nowMs + 1_500);
    await until("workers may go on", async () => (await paused())[0] === "default");
    expect(await inspector.maintenance()).toEqual([]);
  });

  it("says what to type where there are no Sentinels, and is not for files", async () => {
    await expect(inspector.failOver()).rejects.toMatchObject({ code: "OPTION_INVALID", message: /type FAILOVER on/ });
    await using file = connect("memory:");
    await expect(new Inspector(file).beginMaintenance()).rejects.toMatchObject({ code: "OPTION_INVALID" });
    await expect(inspector.beginMaintenance({ for: "5h" })).rejects.toMatchObject({ code: "OPTION_INVALID" });
  });

  it("is a command, which tells by its exit code that not all is ready", async () => {
    let done = () => {};
    const held = new Promise<void>((resolve) => (done = resolve));
    await using worker = new Worker(broker, { log: silent }).handle(work, () => held);
    await worker.start();
    await until("it runs", async () => (await inspector.queue("default")).counts.active === 1);
    await using cli = new CliHost({ HOLDFAST_URL: server.url });
    const run = async (...args: string[]) => cli.run("maintenance", ...args);

    const early = await run("begin", "--drain", "0s", "--json", "--actor", "bob", "--reason", "upgrade");
    expect(early.status).toBe(4);
    expect(JSON.parse(early.stdout)).toMatchObject({ queues: ["default", "other"], active: 1, ready: false });
    expect((await run("show")).stdout).toMatch(/^QUEUE +UNTIL +SINCE +BY\ndefault +in 14 m .* bob +upgrade\nother/m);
    done();
    const people = await run("begin", "--for", "1h");
    expect(people.status).toBe(0);
    expect(people.stdout).toMatch(
      /^maintenance until .* UTC \(in (1 h|59 m)\): 2 queues take no tasks and start none\n/,
    );
    expect(people.stdout).toContain("nothing runs\n");
    const [shown] = JSON.parse((await run("show", "--json")).stdout) as object[];
    expect(shown).toMatchObject({ queue: "default", reason: null, until: expect.stringMatching(/Z$/) });
    expect(await run("failover")).toMatchObject({
      status: 2,
      stderr: expect.stringContaining("FAILOVER on the master"),
    });
    expect((await run("end")).stdout).toMatch(/^2 queues go on\n/);
    expect((await run("end")).stderr).toContain("No queue stood still");
  });
});
