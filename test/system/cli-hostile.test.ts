import { afterAll, beforeAll, expect, it } from "vitest";
import { Client, SkipRetry, Worker, connect, defineTask } from "../../src/index.js";
import { encodeMessage } from "../../src/core/codec.js";
import { silent } from "../../src/core/log.js";
import { message } from "../support/builders.js";
import { CliHost, type Ended } from "../support/cli.js";
import { RedisServer, describeRedis } from "../support/redis-server.js";

/** What a terminal obeys: sequences in seven and eight bits, a title, a link, line ends, turned and invisible text. */
const evil =
  "\u001b[2J\u001b]0;title\u0007\u001b]8;;http://evil\u001b\\\u009b31m\u009d0;x\u009c\u0090q\r\n\u0085\u2028\u202e\u2066\u200b\ufeff\u007f";
const queue = `q${evil}`;
const id = `id${evil}`;
const states = ["pending", "active", "scheduled", "retry", "archived", "completed"] as const;

/** Nothing but text and ends of lines. */
function expectHarmless({ stdout, stderr }: Ended): void {
  for (const text of [stdout, stderr]) expect(text).not.toMatch(/[\p{Cf}\p{Zl}\p{Zp}]|(?!\n)\p{Cc}/u);
}

describeRedis("what other programs put into Redis", () => {
  let server: RedisServer;
  let cli: CliHost;
  const run = (...args: string[]): Promise<Ended> => cli.run(...args);

  beforeAll(async () => {
    server = await RedisServer.start();
    cli = new CliHost({ HOLDFAST_URL: server.url });
    const { admin } = server;
    const hostile = message({
      id,
      queue,
      type: `type${evil}`,
      payload: Buffer.from(`{"a":"${evil.replaceAll(/\p{Cc}/gu, "")}"} ${evil}`),
      lastError: `error${evil}`,
      headers: { [`name${evil}`]: `value${evil}` },
      group: `group${evil}`,
      uniqueKey: `key${evil}`,
    });
    await admin.sadd("asynq:queues", queue, `$(reboot)\`id\`;'"`);
    const places: Record<(typeof states)[number], (name: string) => Promise<unknown>> = {
      pending: (name) => admin.lpush(`asynq:{${queue}}:pending`, name),
      active: (name) => admin.lpush(`asynq:{${queue}}:active`, name),
      scheduled: (name) => admin.zadd(`asynq:{${queue}}:scheduled`, 4e9, name),
      retry: (name) => admin.zadd(`asynq:{${queue}}:retry`, 4e9, name),
      archived: (name) => admin.zadd(`asynq:{${queue}}:archived`, 1.7e9, name),
      completed: (name) => admin.zadd(`asynq:{${queue}}:completed`, 9e18, name),
    };
    for (const state of states) {
      const name = `${id}${state}`;
      const bytes = encodeMessage({ ...hostile, id: name });
      await admin.hset(`asynq:{${queue}}:t:${name}`, { msg: bytes, state, result: Buffer.from(`result${evil}`) });
      await places[state](name);
      await admin.hset(`asynq:{${queue}}:t:broken${state}`, { msg: Buffer.from(evil), state });
      await places[state](`broken${state}`);
    }
    await admin.sadd(`asynq:{${queue}}:groups`, `group${evil}`);
    await admin.zadd(`asynq:{${queue}}:g:group${evil}`, 1.7e9, id);
    await admin.hset(`asynq:{${queue}}:t:${id}`, { msg: encodeMessage(hostile), state: "aggregating" });

    await using broker = connect(server.url);
    const task = { queue, id, type: `type${evil}`, payload: Buffer.from(evil), startedAtMs: 0, limitAtMs: 9e15 };
    const host = `host${evil}`;
    await broker.announce(
      {
        id: `${host}:1:x`,
        host,
        pid: 1,
        concurrency: 1,
        queues: { [queue]: 1 },
        strictPriority: false,
        status: "active",
        startedAtMs: 0,
        running: [task],
      },
      3_600_000,
      broker.clock.nowMs(),
    );
    const worker = new Worker(broker, { queues: { failing: 1 }, log: silent });
    worker.handle(defineTask("failing"), async () => {
      throw new SkipRetry(`failure${evil}`);
    });
    await new Client(broker).enqueue(defineTask("failing", { queue: "failing" })(undefined, { id: "failed" }));
    await worker.drain();
  });
  afterAll(async () => {
    await cli[Symbol.asyncDispose]();
    await server.stop();
  });

  it.each<[string, string[], number]>([
    ["stats", ["stats"], 0],
    ["queue ls", ["queue", "ls"], 0],
    ["queue show", ["queue", "show", queue], 0],
    ...states.map((state): [string, string[], number] => [`task ls ${state}`, ["task", "ls", queue, "-s", state], 0]),
    ["task ls aggregating", ["task", "ls", queue, "-s", "aggregating", "-g", `group${evil}`], 0],
    ["task ls, with a cursor to copy", ["task", "ls", queue, "-s", "archived", "--limit", "1"], 0],
    ["task ls of a type that is not there", ["task", "ls", queue, "--type", evil], 0],
    ["task show", ["task", "show", queue, `${id}archived`, `${id}completed`], 0],
    ["task show, broken", ["task", "show", queue, "brokenpending"], 0],
    ["task show, not there", ["task", "show", queue, evil], 3],
    ["task show, a failure of ours", ["task", "show", "failing", "failed"], 0],
    ["task ls, a failure of ours", ["task", "ls", "failing", "-s", "archived"], 0],
    ["task payload as hex", ["task", "payload", queue, `${id}pending`, "--hex"], 0],
    ["worker ls", ["worker", "ls", "--tasks"], 0],
    ["task cancel", ["task", "cancel", queue, `${id}active`, evil], 3],
    ["group ls", ["group", "ls", queue], 0],
    ["queue pause", ["queue", "pause", queue, "--actor", "ann"], 0],
    ["queue resume", ["queue", "resume", queue], 0],
    ["task archive", ["task", "archive", queue, `${id}scheduled`, evil], 3],
    ["task run", ["task", "run", queue, `${id}scheduled`, `${id}active`], 4],
    ["queue rm without --yes", ["queue", "rm", queue, "--force"], 2],
    ["a wrong word", [`tusk${evil}`], 2],
  ])("cannot steer a terminal through %s", async (_name, args, status) => {
    const people = await run(...args);
    const programs = await run(...args, "--json");

    expect({ status: people.status, stderr: people.stderr }).toMatchObject({ status });
    // It was there to be shown: spelt out, as JSON, as a word of a command, or in hex.
    expect(people.stdout + people.stderr).toMatch(/\\u\{1b\}|\\u001b|\\U0000001b|1b 5b/);
    expectHarmless(people);
    expectHarmless(programs);
  });

  it("comes through JSON with nothing lost", async () => {
    const { stdout } = await run("task", "ls", queue, "-s", "retry", "--json");
    const tasks = stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));

    expect(new Set(tasks.map((task) => task.id))).toEqual(new Set(["brokenretry", `${id}retry`]));
    expect(tasks.find((task) => task.id === `${id}retry`)).toMatchObject({
      type: `type${evil}`,
      lastError: `error${evil}`,
      headers: { [`name${evil}`]: `value${evil}` },
    });
    const broken = tasks.find((task) => task.id === "brokenretry");
    expect(broken).toMatchObject({ type: null, stored: evil, storedEncoding: "utf8" });
  });
});
