import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Client, SkipRetry, Worker, connect, defineTask, rawBytes } from "../../src/index.js";
import { wordsOf } from "../../src/cli/completion/candidates.js";
import { silent } from "../../src/core/log.js";
import { CliHost, type Ended, holdfast, started } from "../support/cli.js";
import { RedisServer, describeRedis } from "../support/redis-server.js";
import { until } from "../support/until.js";

const welcome = defineTask<{ to: string; n?: number }>("email:welcome", {
  queue: "email",
  maxRetry: 3,
  headers: { trace: "00-abc" },
});
const report = defineTask<{ day: string }, { rows: number }>("report:daily", { queue: "reports", retention: "1d" });
const blob = defineTask<Uint8Array>("blob", { queue: "low", codec: rawBytes });

/** Some tasks in each state that needs no running worker. */
async function seed(url: string): Promise<void> {
  await using broker = connect(url);
  const client = new Client(broker);
  for (const to of ["nobody", "nowhere", "ann@example.com"]) await client.enqueue(welcome({ to }));
  await client.enqueue(report({ day: "2026-01-01" }, { id: "report-1" }));
  const worker = new Worker(broker, { queues: { email: 1, reports: 1 }, log: silent });
  worker.handle(welcome, async ({ to }) => {
    if (to === "nobody") throw new SkipRetry("no address");
    if (to === "nowhere") throw new Error("smtp: connection refused");
  });
  worker.handle(report, async () => ({ rows: 12 }));
  await worker.drain();
  await client.enqueue(welcome({ to: "bob@example.com", n: 1 }, { id: "bob" }));
  await client.enqueue(welcome({ to: "later@example.com" }, { id: "later", processIn: "2h" }));
  await client.enqueue(blob(Uint8Array.of(0xff, 0x00, 0x41), { id: "blob" }));
}

/** What every engine must make of each command: most of them in one process, for most of a call's time is to start it. */
function commands(url: () => string): void {
  let host: CliHost;
  beforeAll(() => {
    host = new CliHost({ HOLDFAST_URL: url() });
  });
  afterAll(() => host[Symbol.asyncDispose]());
  const run = (...args: string[]): Promise<Ended> => host.run(...args);
  /** In a process of its own, once for each exit code: it must end by itself. */
  const alone = (...args: string[]): Promise<Ended> => holdfast(args, { env: { HOLDFAST_URL: url() } });
  const done = async (...args: string[]): Promise<string> => {
    const { status, stdout, stderr } = await run(...args);
    expect({ args, status, stderr }).toEqual({ args, status: 0, stderr: "" });
    return stdout;
  };
  // oxlint-disable-next-line typescript/no-explicit-any -- documents of many shapes, each looked at by its test
  const json = async (...args: string[]): Promise<any> => JSON.parse(await done(...args, "--json"));
  const jsonLines = async (...args: string[]) =>
    (await done(...args, "--json"))
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));

  /** Tasks of a type with these ids, as a program puts them there. */
  const put = async (queue: string, ids: readonly string[], type = "t") => {
    await using broker = connect(url());
    const task = defineTask(type, { queue });
    await new Client(broker).enqueueAll(ids.map((id) => task(undefined, { id })));
  };

  it("tells of queues", async () => {
    const queues = await json("queue", "ls");
    const [shown] = await json("queue", "show", "email", "--days", "2");

    expect(queues.map(({ name }: { name: string }) => name)).toEqual(["email", "low", "reports"]);
    expect(queues[0]).toMatchObject({ paused: false, pausedAt: null, processed: 3, failed: 2 });
    expect(queues[0].counts).toMatchObject({ pending: 1, scheduled: 1, retry: 1, archived: 1, completed: 0 });
    expect(queues[0].memoryBytes).toBeGreaterThan(0);
    expect(shown.history).toHaveLength(2);
    expect(shown.history[0]).toMatchObject({ processed: 3, failed: 2 });
    expect(Date.parse(shown.earliestAt.scheduled)).toBeGreaterThan(Date.now());
    expect((await alone("queue", "ls")).stdout).toMatch(/^QUEUE +TASKS +WAIT +MEMORY +PROCESSED +FAILED\nemail +4 /);
    expect(await done("queue", "show", "email", "low")).toMatch(/^email\n {2}4 tasks, .*\n[^]*\nlow\n {2}1 tasks, /);
  });

  it("tells of all at once", async () => {
    const stats = await json("stats");
    const text = await done("stats");

    expect(Object.keys(stats)).toEqual(["at", "storage", "queues", "unavailable"]);
    expect(stats.storage.nodes).toHaveLength(1);
    expect(stats.queues[0]).toMatchObject({ name: "email", today: { processed: 3, failed: 2 } });
    expect(text).toMatch(/^QUEUE +PENDING +ACTIVE +SCHED +RETRY +DEAD +DONE +WAIT +TODAY +FAILED$/m);
    expect(text).toMatch(/^all +2 +0 +1 +1 +1 +1 /m);
  });

  it("lists tasks of a state, in pages both ways, as tables and as lines of JSON", async () => {
    const [dead] = await jsonLines("task", "ls", "email", "-s", "dead");
    const completed = await done("task", "ls", "-q", "reports", "-s", "completed");
    const pending = await run("task", "ls", "email", "--type", "no:such");

    expect(dead).toMatchObject({ type: "email:welcome", state: "archived", lastError: "no address" });
    expect(dead.failure).toMatchObject({ reason: "skip_retry", class: "SkipRetry", message: "no address" });
    expect(completed).toMatch(/^ID +TYPE +DONE +EXPIRES +RESULT\nreport-1 +report:daily .*\{"rows":12\}\n$/);
    expect(pending).toMatchObject({ status: 0, stdout: "" });
    expect(await run("task", "ls", "emial")).toMatchObject({ status: 3, stdout: "" });
    expect(pending.stderr).toBe('No pending tasks of type "no:such" in queue "email".\n');
    expect(await jsonLines("task", "ls", "low", "--all")).toMatchObject([{ id: "blob", payloadEncoding: "base64" }]);
  });

  it("shows one task in full, with and without its queue", async () => {
    const [task] = await json("task", "show", "reports", "report-1");
    const text = await done("task", "show", "bob");
    const hex = await done("task", "show", "low", "blob");

    expect(task).toMatchObject({ state: "completed", retried: 0, result: '{"rows":12}', resultEncoding: "utf8" });
    expect(JSON.parse(task.payload)).toEqual({ day: "2026-01-01" });
    expect(task.failure).toBeNull();
    expect(text).toContain("\n  queue         email\n  state         pending\n  type          email:welcome\n");
    expect(text).toContain("\n  header        trace: 00-abc\n");
    expect(text).toContain('\n  {\n    "to": "bob@example.com",\n    "n": 1\n  }\n');
    expect(hex).toContain(`\n  000000  ff 00 41${" ".repeat(41)}..A\n`);
  });

  it("enqueues with all options, bytes as they are given, and tells what was not taken", async () => {
    const flags = [
      "--retry",
      "2",
      "--timeout",
      "90s",
      "--retention",
      "1h",
      "--header",
      "a=b=c",
      "--header",
      "d=",
      "--id",
      "x1",
    ];
    const payload = '{ "big": 12345678901234567890 }';
    const first = await json("task", "enqueue", "-t", "a:b", "-q", "made", "-p", payload, "--unique", "1h", ...flags);
    const [task] = await json("task", "show", "made", "x1");
    const duplicate = await run(
      "task",
      "enqueue",
      "-t",
      "a:b",
      "-q",
      "made",
      "-p",
      payload,
      "--unique",
      "1h",
      "--json",
    );
    const taken = await alone("task", "enqueue", "-t", "other", "-q", "made", "--id", "x1");
    const piped = await holdfast(["task", "enqueue", "-t", "p", "-q", "made", "--payload-file", "-", "--id", "x2"], {
      env: { HOLDFAST_URL: url() },
      input: Uint8Array.of(1, 2, 255),
    });

    expect(first).toEqual({ queue: "made", status: "enqueued", id: "x1", state: "pending" });
    expect(task).toMatchObject({ payload, maxRetry: 2, timeoutMs: 90_000, retentionMs: 3_600_000 });
    expect(task.headers).toEqual({ a: "b=c", d: "" });
    expect(duplicate.status).toBe(4);
    expect(JSON.parse(duplicate.stdout)).toEqual({ queue: "made", status: "duplicate", id: "x1" });
    expect(taken).toMatchObject({ status: 4, stdout: "not taken: there is a task x1 already\n" });
    expect(piped).toMatchObject({ status: 0, stderr: "" });
    expect(await json("task", "payload", "made", "x2")).toMatchObject({ payload: "AQL/", payloadEncoding: "base64" });
    const later = await json("task", "enqueue", "-t", "l", "-q", "made", "--process-at", "2099-01-01T00:00:00+01:00");
    expect((await json("task", "show", "made", later.id))[0]).toMatchObject({
      state: "scheduled",
      dueAt: "2098-12-31T23:00:00.000Z",
    });
  });

  it("prints and replaces payloads", async () => {
    const folder = mkdtempSync(join(tmpdir(), "holdfast-cli-"));
    const file = join(folder, "payload.bin");
    writeFileSync(file, Uint8Array.of(0xfe, 0x0a));
    await put("edited", ["e1"]);

    expect(await done("task", "payload", "edited", "e1")).toBe("");
    expect(await done("task", "payload", "-q", "edited", "e1", "--set", "[1]", "--reason", "typo")).toBe(
      "payload of 3 bytes set  e1\n",
    );
    expect(await done("task", "payload", "edited", "e1")).toBe("[1]");
    expect(await json("task", "payload", "edited", "e1", "--file", file)).toEqual({
      queue: "edited",
      id: "e1",
      status: "updated",
      payloadBytes: 2,
    });
    expect(await done("task", "payload", "edited", "e1", "--hex")).toBe(`000000  fe 0a${" ".repeat(44)}..\n`);
    expect(await run("task", "payload", "edited", "nope", "--set", "1")).toMatchObject({ status: 3 });
    expect(await run("task", "payload", "reports", "report-1", "--set", "1")).toMatchObject({ status: 4 });
    rmSync(folder, { recursive: true });
  });

  it("runs, archives and deletes by ids, and tells each one's fate by exit code", async () => {
    await put("moved", ["m1", "m2", "m3"]);

    expect(await done("task", "archive", "moved", "m1", "m2")).toBe("archived  m1\narchived  m2\n");
    expect(await json("task", "run", "moved", "m1", "--attempts", "2")).toEqual({
      queue: "moved",
      receipts: [{ id: "m1", status: "moved" }],
    });
    expect(await run("task", "run", "moved", "m1", "m2")).toMatchObject({
      status: 4,
      stdout: "not done  m1: not in a state that allows it (queue moved)\nwill run  m2\n",
    });
    expect(await run("task", "rm", "-q", "moved", "m3", "gone")).toMatchObject({
      status: 3,
      stdout: "deleted  m3\nnot done  gone: not found (queue moved)\n",
    });
    expect((await json("queue", "show", "moved"))[0].counts).toMatchObject({ pending: 2, archived: 0 });
  });

  it("does all of a state, of a type, up to a limit; and asks before what cannot be undone", async () => {
    await put("bulk", ["b1", "b2", "b3"], "a");
    await put("bulk", ["b4"], "b");

    const refused = await run("task", "archive", "bulk", "--state", "pending");
    expect(refused).toMatchObject({ status: 2, stdout: "" });
    expect(refused.stderr).toContain(
      '--yes: is needed where nobody can be asked: Archive the 4 pending tasks of queue "bulk"?',
    );
    expect(await json("task", "archive", "bulk", "-s", "pending", "--type", "a", "--yes")).toEqual({
      queue: "bulk",
      state: "pending",
      type: "a",
      verb: "archive",
      moved: 3,
      skipped: 0,
      scanned: 4,
      all: true,
      calledOff: false,
    });
    expect(await done("task", "run", "bulk", "-s", "archived", "--limit", "1")).toBe(
      "1 task will run\nthere are more; the same command goes on\n",
    );
    expect(await done("task", "run", "bulk", "-s", "archived")).toBe("2 tasks will run\n");
    expect(await done("task", "delete", "bulk", "-s", "pending", "-y")).toBe("4 tasks deleted\n");
  });

  it("pauses with who and why, resumes, and removes queues", async () => {
    await put("paused", ["x"]);

    expect(await done("queue", "pause", "paused", "--reason", "smtp is down")).toBe("paused paused\n");
    expect(await done("queue", "pause", "paused")).toBe("paused paused (it was already)\n");
    const [queue] = await json("queue", "show", "paused");
    expect(queue).toMatchObject({ paused: true, pauseReason: "smtp is down" });
    expect(queue.pausedBy).toContain(`@${hostname()}`);
    expect(await done("queue", "show", "paused")).toContain(": smtp is down\n");
    expect(await json("queue", "resume", "paused", "--actor", "ann")).toEqual([
      { queue: "paused", paused: false, changed: true },
    ]);
    expect(await run("queue", "rm", "paused")).toMatchObject({ status: 4 });
    expect(await alone("queue", "rm", "paused", "--force")).toMatchObject({ status: 2 });
    expect(await done("queue", "rm", "paused", "--force", "--yes")).toBe("removed paused\n");
    expect(await alone("queue", "show", "paused")).toMatchObject({ status: 3 });
    expect(await run("queue", "pause", "email", "no-such")).toMatchObject({ status: 3, stdout: "" });
  });

  it("tells of workers and what they run, and cancels that", async () => {
    await using broker = connect(url());
    await using worker = new Worker(broker, { concurrency: 3, queues: { busy: 2 }, log: silent });
    const aborted = new Promise<unknown>((resolve) => {
      worker.handle(defineTask("long"), async (_payload, task) => {
        await once(task.signal, "abort");
        resolve(task.signal.reason);
        throw task.signal.reason;
      });
    });
    await worker.start();
    await put("busy", ["long-1"], "long");
    const running = await until("the worker is announced with its task", async () => {
      const workers = await json("worker", "ls");
      return workers[0]?.running.length === 1 && workers;
    });

    expect(running).toMatchObject([
      { host: hostname(), pid: process.pid, concurrency: 3, queues: { busy: 2 }, status: "active" },
    ]);
    expect(running[0].running[0]).toMatchObject({ queue: "busy", id: "long-1", type: "long" });
    expect(await done("worker", "ls", "--tasks")).toMatch(
      / 1\/3 [^]*\n\nTASK +TYPE +QUEUE +SINCE +LEFT +WORKER\nlong-1 +long +busy /,
    );
    expect(await done("task", "cancel", "busy", "long-1", "--archive")).toBe("asked to stop  long-1\n");
    expect(await aborted).toMatchObject({ code: "TASK_CANCELLED" });
    expect(await run("task", "cancel", "email", "bob", "gone")).toMatchObject({ status: 3 });
  });

  it("goes on with the next page, to the end, and from the end back", async () => {
    await put("pages", ["p0", "p1", "p2", "p3", "p4"]);
    const ids = ({ stdout }: Ended) => [...stdout.matchAll(/^p\d/gm)].map(String);
    const next = ({ stderr }: Ended) => wordsOf(/holdfast (.*)\n$/.exec(stderr)?.[1] ?? "");

    const first = await run("task", "ls", "pages", "--limit", "2");
    const second = await run(...next(first));
    const last = await run("task", "ls", "pages", "--limit", "2", "--last");

    expect([ids(first), ids(second), ids(last)]).toEqual([
      ["p0", "p1"],
      ["p2", "p3"],
      ["p3", "p4"],
    ]);
    expect(next(last)).toContain("--last");
    expect(await done("task", "ls", "pages", "--all")).toMatch(/^ID[^]*p0[^]*p1[^]*p2[^]*p3[^]*p4/);
  });
}

describe("holdfast on a file", () => {
  const folder = mkdtempSync(join(tmpdir(), "holdfast-cli-test-"));
  const url = `file:${join(folder, "tasks.db")}`;
  beforeAll(() => seed(url));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  commands(() => url);

  it("does not make a file by looking for one", async () => {
    const file = join(folder, "typo.db");
    const { status, stderr } = await holdfast(["stats", "--url", `file:${file}`]);

    expect({ status, stderr }).toEqual({
      status: 2,
      stderr: `holdfast: --url: there is no file "${file}" [OPTION_INVALID]\n`,
    });
    expect(existsSync(file)).toBe(false);
  });
});

describeRedis("holdfast on Redis", () => {
  let server: RedisServer;
  beforeAll(async () => {
    server = await RedisServer.start();
    await seed(server.url);
  });
  afterAll(() => server.stop());

  commands(() => server.url);

  it("says to Redis as whom it acted, and looks at a server that may evict", async () => {
    await server.admin.config("SET", "maxmemory-policy", "allkeys-lru");
    const env = { HOLDFAST_URL: server.url };
    const paused = await holdfast(["queue", "pause", "reports"], { env });
    const shown = await holdfast(["queue", "show", "reports", "--json"], { env });
    const refused = await holdfast(["task", "enqueue", "-t", "t"], { env });
    await server.admin.config("SET", "maxmemory-policy", "noeviction");

    expect(paused.status).toBe(0);
    expect(JSON.parse(shown.stdout)[0].pausedBy).toMatch(/, Redis user default$/);
    expect(refused).toMatchObject({ status: 5 });
  });

  it("streams what does not end until nobody reads any more", async () => {
    const child = started(["stats", "--watch", "200ms", "--json"], { HOLDFAST_URL: server.url });
    const lines = createInterface({ input: child.stdout });
    const looks = [];
    for await (const line of lines) {
      looks.push(JSON.parse(line));
      if (looks.length === 3) break;
    }
    child.stdout.destroy();
    const [status] = await once(child, "close");

    expect(looks.map(({ storage }) => storage.kind)).toEqual(["redis", "redis", "redis"]);
    expect(status).toBe(0);
  });

  it("watches without a terminal in blocks, waits for storage that is away, and ends with Ctrl-C", async () => {
    const child = started(["stats", "--watch", "200ms"], { HOLDFAST_URL: server.url });
    let stdout = "";
    let stderr = "";
    child.stdout.on("data", (text) => (stdout += text));
    child.stderr.on("data", (text) => (stderr += text));
    const blocks = () => stdout.match(/^QUEUE/gm)?.length ?? 0;
    await until("two blocks are printed", () => blocks() >= 2, 20_000);
    server.freeze();
    await until("the outage is told", () => stderr.includes("trying again"), 20_000);
    server.thaw();
    const before = blocks();
    await until("it goes on", () => blocks() > before, 20_000);
    child.kill("SIGINT");
    const [status] = await once(child, "close");

    expect(status).toBe(130);
    expect(stdout).not.toContain("\u001b");
  });
});

describe("holdfast", () => {
  let host: CliHost;
  beforeAll(() => {
    host = new CliHost();
  });
  afterAll(() => host[Symbol.asyncDispose]());

  it("alone says what there is to type", async () => {
    const { status, stdout } = await holdfast([]);

    expect(status).toBe(0);
    expect(stdout).toContain("Start with:");
  });

  it.each([
    ["an unknown command", ["tusk"], 2, "unknown command 'tusk'"],
    ["an unknown option", ["stats", "--fast"], 2, "unknown option"],
    ["no queue", ["task", "ls"], 2, "QUEUE: which queue?"],
    ["no task", ["task", "run", "q"], 2, "ID: which tasks?"],
    ["no id", ["task", "show", "-q", "q", "--url", "memory:"], 2, "ID: which task?"],
    ["a wrong state", ["task", "ls", "q", "-s", "lost"], 2, "--state: must be one of pending, "],
    ["a state that cannot be archived", ["task", "archive", "q", "-s", "active"], 2, "--state: must be one of"],
    ["a wrong number", ["task", "ls", "q", "--limit", "0"], 2, "--limit: must be a whole number, 1 … 500"],
    [
      "a duration without its unit",
      ["task", "enqueue", "-t", "t", "--timeout", "30"],
      2,
      "--timeout: must be a duration",
    ],
    [
      "a time without its zone",
      ["task", "enqueue", "-t", "t", "--deadline", "2026-01-01T00:00:00"],
      2,
      "--deadline: must be a time with its zone",
    ],
    ["a header without its value", ["task", "enqueue", "-t", "t", "--header", "x"], 2, "--header: must be NAME=VALUE"],
    ["a wrong queue name", ["task", "enqueue", "-t", "t", "-q", "a{b}"], 2, "--queue: must be 1 to 128 letters"],
    ["a file that is not there", ["task", "enqueue", "-t", "t", "--payload-file", "/no/such"], 2, "(ENOENT)"],
    ["a wrong URL", ["stats", "--url", "gopher://x"], 2, "OPTION_INVALID"],
    ["a Redis that is not there", ["stats", "--url", "redis://127.0.0.1:1"], 5, "BROKER_UNAVAILABLE"],
  ])("says what is wrong with %s, for people and as JSON", async (_name, args, code, says) => {
    const people = await host.run(...args);
    const programs = await host.run(...args, "--json");

    expect(people).toMatchObject({ status: code, stdout: "" });
    expect(people.stderr).toMatch(/^holdfast: /);
    expect(people.stderr).toContain(says);
    expect(programs).toMatchObject({ status: code, stdout: "" });
    expect(Object.keys(JSON.parse(programs.stderr).error)).toEqual(expect.arrayContaining(["code", "message"]));
  });

  it("teaches with the help of every command, in 80 columns, with examples", async () => {
    const page = readFileSync(join(import.meta.dirname, "../../docs/reference/cli.md"), "utf8");
    const helps = [...page.matchAll(/^### `holdfast (.+)`\n\n```text\n([^]*?)```$/gm)];
    const wide = helps.filter(([, , help]) => help!.split("\n").some((line) => line.length > 80));
    const untaught = helps.filter(([, , help]) => !/^(Commands|Examples):$/m.test(help!));
    const printed = await holdfast(["task", "run", "--help"]);

    expect(helps.length).toBeGreaterThan(18);
    expect([...wide, ...untaught].map(([, words]) => words)).toEqual([]);
    // The page is what the program prints (test/docs/generated.test.ts).
    expect(printed).toMatchObject({ status: 0, stdout: helps.find(([, words]) => words === "task run")?.[2] });
  });
});
