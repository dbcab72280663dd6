import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { LeasedTask } from "../../../src/broker/broker.js";
import { DeadLetters } from "../../../src/deadletter/index.js";
import { Client, defineTask, type TaskOptions, Worker } from "../../../src/index.js";
import { settled } from "../../support/builders.js";
import type { TaskState } from "../../../src/core/state.js";
import { until } from "../../support/until.js";
import { buildTimeoutMs, describeGo, goProgram } from "./programs.js";
import { Site } from "./site.js";

const queue = "mail";
const noon = new Date(Math.ceil(Date.now() / 1_000) * 1_000 + 86_400_000);

const stateOf = {
  kept: "completed",
  fails: "retry",
  dead: "archived",
  runs: "active",
  first: "pending",
  second: "pending",
  later: "scheduled",
  grouped: "aggregating",
};

const inMail = { active: 1, pending: 2, aggregating: 1, scheduled: 1, retry: 1, archived: 1, completed: 1 };

/** What is there: each of asynq's seven states, made by Holdfast; the group alone is Go's. */
async function fill(site: Site): Promise<void> {
  const { broker } = site;
  const client = new Client(broker);
  const mail = defineTask<unknown>("email:send", { queue, timeout: "90s", headers: { traceparent: "00-abc-01" } });
  const put = (id: string, more: TaskOptions = {}, payload: unknown = { to: "ü" }) =>
    client.enqueue(mail(payload, { id, ...more }));
  let requests = 0;
  const lease = async (): Promise<LeasedTask> => {
    const request = {
      workerId: "w",
      requestId: `r${requests++}`,
      queues: [queue],
      limit: 1,
      leaseMs: 60_000,
      suspects: 1,
    };
    const { leased } = await broker.exchange({ settle: [], lease: request }, broker.clock.nowMs());
    return leased[0]!;
  };
  const settle = (...settlements: Parameters<typeof broker.exchange>[0]["settle"][number][]) =>
    broker.exchange({ settle: settlements }, broker.clock.nowMs());

  await put("kept", { retention: "1h" });
  await settle(settled.completed(await lease(), Buffer.from('{"rows":7}')));
  await put("fails");
  await settle(settled.retry(await lease(), noon.getTime()));
  await put("dead", { unique: "1h" });
  await settle(settled.archived(await lease(), { message: "no such user: ü" }));
  await put("runs");
  await lease();
  await put("first", { maxRetry: 3 });
  await put("second");
  await put("later", { processAt: noon });
  await site.go.enqueue({ id: "grouped", type: "email:send", queue, group: "digest" });
  await client.enqueue(defineTask("job", { queue: "night" })(undefined, { id: "waits" }));
  await site.inspector.pause("night");
}

describeGo("asynq's own tools on what Holdfast wrote", () => {
  let site: Site;
  let cli: string;
  let asynqmon: ChildProcess;
  let api: string;
  beforeAll(async () => {
    cli = await goProgram("cli");
    const monitor = await goProgram("asynqmon");
    site = await Site.open();
    await fill(site);
    const started = spawn(monitor, [`127.0.0.1:${site.server.port}`]);
    asynqmon = started;
    const [port] = (await once(createInterface(started.stdout), "line")) as [string];
    api = `http://127.0.0.1:${port}/api`;
  }, buildTimeoutMs);
  afterAll(async () => {
    asynqmon.kill("SIGKILL");
    await site.close();
  });

  /** Of asynqmon. */
  async function get(path: string): Promise<Record<string, unknown>> {
    const response = await fetch(`${api}/${path}`);
    const text = await response.text();
    expect([path, response.status, text]).toEqual([path, 200, expect.stringMatching(/^[{[]/)]);
    return JSON.parse(text) as Record<string, unknown>;
  }

  /** What the command line program prints, with runs of spaces as one. */
  async function asynq(...args: string[]): Promise<string> {
    const { stdout, stderr } = await promisify(execFile)(cli, ["--uri", `127.0.0.1:${site.server.port}`, ...args], {
      env: { HOME: site.server.dir },
    });
    expect(stderr).toBe("");
    return stdout.replaceAll(/[ \t]+/g, " ");
  }

  describe("the HTTP API of asynqmon 0.7.2, which is of asynq 0.24", () => {
    const ofMail = {
      queue: "mail",
      size: 8,
      groups: 1,
      ...inMail,
      processed: 3,
      succeeded: 1,
      failed: 2,
      paused: false,
    };
    const never = expect.stringMatching(/^(0001-01-01T00:00:00Z|-|)$/);

    it("tells of queues what they are", async () => {
      const { queues } = await get("queues");
      expect((queues as { queue: string }[]).toSorted((a, b) => (a.queue < b.queue ? -1 : 1))).toMatchObject([
        ofMail,
        { queue: "night", size: 1, pending: 1, paused: true, processed: 0, failed: 0 },
      ]);
      const { current, history } = await get("queues/mail");
      expect(current).toMatchObject(ofMail);
      expect((current as { memory_usage_bytes: number }).memory_usage_bytes).toBeGreaterThan(1_000);
      expect((current as { latency_msec: number }).latency_msec).toBeGreaterThan(0);
      expect((history as unknown[])[0]).toMatchObject({ processed: 3, succeeded: 1, failed: 2 });
      const { stats } = (await get("queue_stats")) as { stats: Record<string, unknown[]> };
      expect([stats["mail"]!.length, stats["mail"]![0]]).toMatchObject([90, { processed: 3, failed: 2 }]);
    });

    const payload = '{"to":"ü"}';
    it.each([
      ["active", [{ id: "runs", payload, is_orphaned: false, max_retry: 25 }]],
      ["pending", [{ id: "first", payload, max_retry: 3 }, { id: "second" }]],
      ["scheduled", [{ id: "later", next_process_at: expect.stringContaining(noon.toISOString().slice(0, 19)) }]],
      ["retry", [{ id: "fails", retried: 1, error_message: "boom" }]],
      ["archived", [{ id: "dead", retried: 0, error_message: "no such user: ü" }]],
      [
        "completed",
        [{ id: "kept", result: '{"rows":7}', ttl_seconds: expect.toSatisfy((s) => s > 3_500 && s <= 3_600) }],
      ],
    ])("lists what is %s", async (state, tasks) => {
      const { tasks: listed, stats } = await get(`queues/mail/${state}_tasks?page=1&size=20`);
      expect(listed).toMatchObject(tasks);
      expect(stats).toMatchObject(ofMail);
    });

    it("tells of groups, of one task of each state, of servers, schedulers and Redis", async () => {
      expect(await get("queues/mail/groups")).toMatchObject({ groups: [{ group: "digest", size: 1 }] });
      expect(await get("queues/mail/groups/digest/aggregating_tasks")).toMatchObject({ tasks: [{ id: "grouped" }] });
      for (const [id, state] of Object.entries(stateOf)) {
        const found = await get(`queues/mail/tasks/${id}`);
        expect(found).toMatchObject({
          id,
          queue: "mail",
          type: "email:send",
          state,
          timeout_seconds: state === "aggregating" ? 1_800 : 90,
        });
        // Headers came with asynq 0.26: its web interface does not know them.
        expect(found).not.toHaveProperty("headers");
      }
      expect(await get("queues/mail/tasks/first")).toMatchObject({ deadline: never, completed_at: never });
      expect(await get("servers")).toMatchObject({ servers: [] });
      expect(await get("scheduler_entries")).toMatchObject({ entries: [] });
      expect(await get("scheduler_entries/none/enqueue_events")).toMatchObject({ events: [] });
      expect(await get("redis_info")).toMatchObject({ address: expect.any(String), cluster: false });
    });
  });

  describe("the command line", () => {
    const list = async (state: string, ...more: string[]) => {
      const lines = (await asynq("task", "ls", "-q", queue, "-s", state, ...more)).trim().split("\n");
      return lines.slice(2).map((line) => line.trim());
    };

    it("tells of queues what they are", async () => {
      expect((await asynq("queue", "ls")).trim().split("\n").toSorted()).toEqual(["mail", "night"]);
      const [mail, night] = (await asynq("queue", "inspect", "mail", "night")).split(/=+/);
      expect(mail).toMatch(/Name: mail\nSize: 8\nGroups: 1\nPaused: false/);
      expect(mail).toMatch(/\n1 2 1 1 1 1 1 ?\n/);
      expect(mail).toMatch(/\n3 2 66\.67% ?\n/);
      expect(night).toMatch(/Name: night\nSize: 1\nGroups: 0\nPaused: true/);
      expect(await asynq("queue", "history", "mail", "-x", "2")).toMatch(/ 3 2 66\.67% ?\n\S+ 0 0 N\/A/);
      expect(JSON.parse(await asynq("stats", "--json"))).toMatchObject({
        aggregate: { ...inMail, pending: 3, processed: 3, failed: 2 },
      });
      expect((await asynq("group", "ls", "-q", queue)).trim()).toBe("digest");
      expect((await asynq("server", "ls")).trim()).toBe("No running servers");
      expect((await asynq("cron", "ls")).trim()).toBe("No scheduler entries");
    });

    it("lists what is in each state, and what is known of one task", async () => {
      const day = /\w{3} \w{3} \d+ \d\d:\d\d:\d\d UTC \d{4}/.source;
      expect(await list("active")).toEqual(['runs email:send {"to":"ü"}']);
      expect(await list("pending")).toEqual(['first email:send {"to":"ü"}', 'second email:send {"to":"ü"}']);
      expect(await list("scheduled")).toEqual([expect.stringMatching(/^later email:send \{"to":"ü"\} in 23h/)]);
      expect(await list("retry")).toEqual([expect.stringMatching(`^fails .* in 23h\\S+ boom ${day} 1 25$`)]);
      expect(await list("archived")).toEqual([expect.stringMatching(`^dead .* ${day} no such user: ü$`)]);
      expect(await list("completed")).toEqual([expect.stringMatching(`^kept .* ${day} \\{"rows":7\\}$`)]);
      expect(await list("aggregating", "-g", "digest")).toEqual(["grouped email:send non-printable bytes digest"]);
      for (const [id, state] of Object.entries(stateOf)) {
        const told = await asynq("task", "inspect", "-q", queue, "-i", id);
        expect(told).toContain(`ID: ${id}\nType: email:send\nState: ${state}\n`);
      }
    });

    it("does not see what was discarded, and sees again what was restored", async () => {
      const letters = new DeadLetters(site.broker);
      const dead = { queue, ids: ["dead"] };
      const before = await list("archived");

      await letters.discard(dead, { reason: "a test" });
      expect(await list("archived")).toEqual([]);
      expect(await get("queues/mail")).toMatchObject({ current: { size: 7, archived: 0 } });
      expect(await site.server.admin.keys("asynq:{mail}:t:dead")).toEqual([]);
      await letters.restore(dead);

      expect(await list("archived")).toEqual(before);
    });

    it("moves tasks and queues, and Holdfast sees them where they were moved", async () => {
      const act = (verb: string, id: string) => asynq("task", verb, "-q", queue, "-i", id);
      await act("run", "later");
      await act("run", "dead");
      await act("run", "kept");
      await act("archive", "second");
      await act("delete", "fails");
      await asynq("task", "archiveall", "-q", queue, "-s", "aggregating", "-g", "digest");
      await asynq("queue", "pause", "mail");
      await asynq("queue", "resume", "night");

      const { inspector } = site;
      const ids = async (state: TaskState) => (await inspector.list({ queue, state }, {})).items.map(({ id }) => id);
      expect(await ids("pending")).toEqual(["first", "later", "dead", "kept"]);
      expect((await ids("archived")).toSorted()).toEqual(["grouped", "second"]);
      expect([await ids("retry"), await ids("scheduled"), await ids("completed")]).toEqual([[], [], []]);
      expect(await inspector.find(queue, "fails")).toBeUndefined();
      expect(await inspector.queues()).toMatchObject([
        { name: "mail", paused: true },
        { name: "night", paused: false },
      ]);
      await asynq("task", "deleteall", "-q", queue, "-s", "archived");
      await asynq("queue", "rm", "night", "--force");
      expect((await inspector.queues()).map(({ name, counts }) => [name, counts.archived])).toEqual([["mail", 0]]);
    });

    it("puts tasks there that our workers run", async () => {
      await asynq("queue", "resume", "mail");
      const given = ["--id", "typed", "--queue", queue, "--retry", "2", "--timeout", "90s", "--retention", "1h"];
      await asynq("task", "enqueue", "--type_name", "email:send", "--payload", '{"to":"cli"}', ...given);
      const seen: unknown[] = [];
      const worker = new Worker(site.broker, { queues: { mail: 1 } });
      worker.handle(defineTask("email:send"), (payload, { id, maxRetry }) => void seen.push({ id, payload, maxRetry }));
      await worker.drain();
      expect(seen).toContainEqual({ id: "typed", payload: { to: "cli" }, maxRetry: 2 });
      expect(await list("completed")).toHaveLength(2);
    });
  });

  it("see our workers, with what they run, and we see Go's", async () => {
    const queues = { alive: 3, idle: 1 };
    const client = new Client(site.broker);
    const long = defineTask<string>("long", { queue: "alive", timeout: "10m" });
    await client.enqueue(long("x", { id: "ours" }));
    const over = new AbortController();
    const worker = new Worker(site.broker, { queues, concurrency: 7, strictPriority: true });
    worker.handle(long, () => new Promise<void>((resolve) => over.signal.addEventListener("abort", () => resolve())));
    await worker.start();

    interface Server {
      Host: string;
      PID: number;
      ActiveWorkers: { Started: string; Deadline: string }[] | null;
    }
    const server = await until("Go sees it run", async () =>
      (await site.go.inspect<Server[]>("servers")).find((one) => (one.ActiveWorkers ?? []).length > 0),
    );
    const [, , id] = worker.id.split(":");
    expect(server).toMatchObject({
      ID: id,
      PID: process.pid,
      Concurrency: 7,
      Queues: queues,
      StrictPriority: true,
      Status: "active",
    });
    const [running] = server.ActiveWorkers!;
    expect(running).toMatchObject({
      TaskID: "ours",
      TaskType: "long",
      TaskPayload: Buffer.from('"x"').toString("base64"),
      Queue: "alive",
    });
    expect(Date.parse(running!.Deadline) - Date.parse(running!.Started)).toBe(600_000);
    expect(await asynq("server", "ls")).toMatch(new RegExp(`${server.Host} ${process.pid} active 1/7 .*alive:3`));
    expect(await get("servers")).toMatchObject({
      servers: [{ id, pid: process.pid, status: "active", active_workers: [{ task_id: "ours", task_payload: '"x"' }] }],
    });

    await site.go.serve({ queues: { other: 2 }, concurrency: 3, handlers: { "*": { block: true } } });
    await client.enqueue(defineTask("theirs", { queue: "other" })(undefined, { id: "theirs" }));
    const theirs = await until(
      "we see Go run a task, which it tells every 5 s",
      async () => (await site.inspector.workers()).find(({ pid, running: [task] }) => pid === site.go.pid && task),
      10_000,
    );
    expect(theirs).toMatchObject({
      host: server.Host,
      concurrency: 3,
      queues: { other: 2 },
      strictPriority: false,
      status: "active",
      running: [{ queue: "other", id: "theirs", type: "theirs" }],
    });
    expect((await site.inspector.workers()).map(({ pid }) => pid).toSorted((a, b) => a - b)).toEqual(
      [process.pid, site.go.pid].toSorted((a, b) => a - b),
    );
    over.abort();
    await worker.stop();
    await site.go.inspect("cancel", { id: "theirs" });
    await site.go.stop();
    expect(await site.go.inspect("servers")).toBeNull();
    expect(await site.server.admin.keys("asynq:[sw]*")).toEqual([]);
  }, 30_000);
});
