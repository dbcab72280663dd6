import { afterAll, beforeAll, expect, it } from "vitest";
import type { LeasedTask } from "../../../src/broker/broker.js";
import { Client, type TaskInfo } from "../../../src/index.js";
import type { TaskState } from "../../../src/core/state.js";
import { settled } from "../../support/builders.js";
import { buildTimeoutMs, describeGo } from "./programs.js";
import { ours, Site } from "./site.js";
import type { GoTask, GoTaskInfo } from "./witness.js";

const queue = "mail";
const states = ["active", "pending", "scheduled", "retry", "archived", "completed", "aggregating"] as const;
const inADay = Math.ceil(Date.now() / 1_000) * 1_000 + 86_400_000;
const perState = 7;

/** In turns of Go and of ours, and no two alike. */
const taskOf = (name: string, n: number): GoTask => ({
  id: `${name}-${n}`,
  type: n % 3 === 0 ? "email:send" : "email:rück",
  payload: n === 1 ? null : Buffer.from([0, 0xff, n]),
  queue,
  maxRetry: n,
  timeoutMs: 60_000 + n * 1_000,
  ...(n % 2 === 0 ? { headers: { traceparent: `00-${n}-01` } } : {}),
  ...(n === 2 ? { deadlineMs: inADay + 9_000 } : {}),
  ...(name === "completed" ? { retentionMs: 3_600_000 + n * 1_000 } : {}),
  ...(name === "scheduled" ? { processAtMs: inADay + Math.floor(n / 2) * 1_000 } : {}),
  ...(name === "aggregating" ? { group: "digest" } : {}),
});

describeGo("what Go's inspector reads, and what ours reads of the same keys", () => {
  let site: Site;
  beforeAll(async () => {
    site = await Site.open();
    await fill();
  }, buildTimeoutMs);
  afterAll(() => site.close());

  async function put(name: string): Promise<void> {
    const client = new Client(site.broker);
    for (let n = 0; n < perState; n += 1) {
      const task = taskOf(name, n);
      if (n % 2 === 0 || task.group !== undefined) await site.go.enqueue(task);
      else await client.enqueue(ours(task));
    }
  }

  /** Seven in each state, and a queue that is paused. */
  async function fill(): Promise<void> {
    const { broker } = site;
    const lease = async (requestId: string): Promise<LeasedTask[]> => {
      const request = { workerId: "w", requestId, queues: [queue], limit: 50, leaseMs: 60_000, suspects: 1 };
      return [...(await broker.exchange({ settle: [], lease: request }, broker.clock.nowMs())).leased];
    };
    await put("completed");
    await put("retry");
    await put("archived");
    const how = {
      completed: (task: LeasedTask, n: number) => settled.completed(task, Buffer.from([n, 0xfe])),
      retry: (task: LeasedTask, n: number) => settled.retry(task, inADay + n * 1_000),
      archived: (task: LeasedTask) => settled.archived(task),
    };
    for (const [n, task] of (await lease("first")).entries()) {
      const name = task.message.id.split("-")[0] as keyof typeof how;
      // A second apart, as their lists have them in the order of time.
      await broker.exchange({ settle: [how[name](task, n)] }, broker.clock.nowMs() - (30 - n) * 1_000);
    }
    await put("active");
    await lease("second");
    for (const name of ["pending", "scheduled", "aggregating"]) await put(name);
    await site.go.enqueue({ id: "waits", type: "t", queue: "night" });
    await site.go.inspect("pause", { queue: "night" });
  }

  const base64 = (bytes: Uint8Array | undefined) => Buffer.from(bytes ?? []).toString("base64");

  /** As both tell it; of a time that is none 0, of bytes that are none "". */
  const ofOurs = ({ id, queue: its, state, message, dueAtMs, result }: TaskInfo) => ({
    id,
    queue: its,
    state,
    type: message!.type,
    payload: base64(message!.payload),
    headers: message!.headers,
    maxRetry: message!.maxRetry,
    retried: message!.retried,
    lastErr: message!.lastError,
    lastFailedAtMs: message!.lastFailedAtMs,
    timeoutMs: message!.timeoutMs,
    deadlineMs: message!.deadlineMs,
    group: message!.group,
    retentionMs: message!.retentionMs,
    completedAtMs: message!.completedAtMs,
    nextProcessAtMs: state === "scheduled" || state === "retry" ? dueAtMs : undefined,
    isOrphaned: false,
    result: base64(result),
  });
  const ofGo = ({ payload, headers, result, nextProcessAtMs, ...rest }: GoTaskInfo) => ({
    ...rest,
    payload: payload ?? "",
    headers: headers ?? {},
    result: result ?? "",
    // What waits for nothing is to be processed now, or never.
    nextProcessAtMs: rest.state === "scheduled" || rest.state === "retry" ? nextProcessAtMs : undefined,
  });

  const group = (state: TaskState) => (state === "aggregating" ? { group: "digest" } : {});

  it.each(states)(
    "%s: the same tasks in the same order, page by page in both directions, and each by itself",
    async (state) => {
      const goPages: GoTaskInfo[][] = [];
      for (let page = 1; page <= 4; page += 1)
        goPages.push(await site.go.inspect("list", { queue, state, page, size: 3, ...group(state) }));
      const pages: (readonly TaskInfo[])[] = [];
      const { inspector } = site;
      let page = await inspector.list({ queue, state, ...group(state) }, { limit: 3 });
      for (pages.push(page.items); page.next !== undefined; pages.push(page.items))
        page = await inspector.list({ queue, state, ...group(state) }, { limit: 3, cursor: page.next });
      const backwards: TaskInfo[] = [];
      for await (const task of inspector.tasks({ queue, state, ...group(state) }, { backwards: true }))
        backwards.push(task);

      expect(pages.map((some) => some.map(ofOurs))).toEqual(goPages.slice(0, 3).map((some) => some.map(ofGo)));
      expect(pages.map((some) => some.length)).toEqual([3, 3, 1]);
      expect(goPages[3]).toEqual([]);
      expect(backwards.map(({ id }) => id)).toEqual(
        pages
          .flat()
          .map(({ id }) => id)
          .toReversed(),
      );
      for (const { id } of pages.flat()) {
        const found = (await inspector.find(queue, id))!;
        expect(ofOurs(found)).toEqual(ofGo(await site.go.find(queue, id)));
      }
    },
  );

  it("queues, their numbers, days and groups", async () => {
    interface GoQueue extends Record<string, number | boolean> {}
    const { inspector } = site;
    const known = await inspector.queues();
    expect((await site.go.inspect<string[]>("queues")).toSorted()).toEqual(known.map(({ name }) => name));
    for (const { name, counts, paused, processed, failed, latencyMs } of known) {
      const told = await site.go.inspect<GoQueue>("queue", { queue: name });
      const days = await site.go.inspect<{ Date: string; Processed: number; Failed: number }[]>("history", {
        queue: name,
        days: 3,
      });
      const [today] = days;
      expect(told).toMatchObject({
        ...Object.fromEntries(states.map((state) => [`${state[0]!.toUpperCase()}${state.slice(1)}`, counts[state]])),
        Size: Object.values(counts).reduce((sum, count) => sum + count),
        Paused: paused,
        ProcessedTotal: processed,
        FailedTotal: failed,
        Processed: today!.Processed,
        Failed: today!.Failed,
      });
      expect(Math.abs(Number(told["Latency"]) / 1e6 - latencyMs)).toBeLessThan(2_000);
      expect(Number(told["MemoryUsage"])).toBeGreaterThan(0);
      expect((await inspector.history(name, 3)).toSorted((a, b) => (a.day < b.day ? 1 : -1))).toEqual(
        days.map(({ Date: date, Processed, Failed }) => ({
          day: date.slice(0, 10),
          processed: Processed,
          failed: Failed,
        })),
      );
      const groups = await site.go.inspect<{ Group: string; Size: number }[] | null>("groups", { queue: name });
      expect((groups ?? []).map((one) => ({ name: one.Group, count: one.Size }))).toEqual(await inspector.groups(name));
    }
    expect(known).toMatchObject([
      { name: queue, processed: 21, failed: 14 },
      { name: "night", paused: true },
    ]);
  });

  it("what is not there", async () => {
    await expect(site.go.find(queue, "nobody")).rejects.toThrow("task not found");
    expect(await site.inspector.find(queue, "nobody")).toBeUndefined();
    await expect(site.go.inspect("queue", { queue: "nowhere" })).rejects.toThrow("NOT_FOUND");
    await expect(site.inspector.queue("nowhere")).rejects.toMatchObject({ code: "QUEUE_NOT_FOUND" });
    expect([await site.go.inspect("servers"), await site.inspector.workers()]).toEqual([null, []]);
  });
});
