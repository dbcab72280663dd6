import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Client, defineTask, rawBytes, type TaskContext, Worker } from "../../../src/index.js";
import { until } from "../../support/until.js";
import { asynqPart } from "./asynq-part.js";
import { buildTimeoutMs, describeGo, goProgram } from "./programs.js";
import { ours, Site } from "./site.js";
import type { GoTask } from "./witness.js";

const hourMs = 3_600_000;
const anHourOn = Math.ceil((Date.now() + hourMs) / 1_000) * 1_000;
const everyByte = Uint8Array.from({ length: 256 }, (_, n) => n);
const result = Uint8Array.of(0, 1, 254, 255);
const queues = { critical: 6, default: 3, low: 1 };

/** Worked on: every option that a worker can notice, on three queues. */
const worked: GoTask[] = [
  { id: "plain", type: "plain" },
  { id: "empty", type: "empty", payload: new Uint8Array(0) },
  { id: "bytes", type: "bytes", payload: everyByte, queue: "low" },
  { id: "json", type: "json", payload: Buffer.from('{"user":"ü","n":1}'), queue: "critical" },
  { id: "header", type: "header", headers: { traceparent: "00-abc-01" } },
  { id: "headers", type: "headers", headers: { a: "1", none: "", ü: "ß\n" }, queue: "low" },
  { id: "timeout", type: "timeout", timeoutMs: 90_000 },
  { id: "deadline", type: "deadline", deadlineMs: anHourOn },
  { id: "both", type: "both", timeoutMs: 2 * hourMs, deadlineMs: anHourOn, queue: "critical" },
  { id: "kept", type: "kept", retentionMs: hourMs, payload: Buffer.from("x") },
  { id: "kept and unique", type: "kept", retentionMs: hourMs, uniqueMs: hourMs, queue: "low" },
  { id: "unique", type: "unique", uniqueMs: hourMs, payload: Buffer.from("[1,2]") },
  { id: "retries", type: "retries", maxRetry: 3 },
  { id: "once", type: "once", maxRetry: 0 },
  { id: "later", type: "later", processInMs: 1_000, queue: "critical" },
  { id: "order:42 / ü {x}", type: "type with spaces: ü", payload: Buffer.from("x") },
];
/** What Go may write and Holdfast would not. */
const foreign: GoTask[] = [
  { id: "nameless header", type: "headers", headers: { "": "no name" } },
  { id: "short timeout", type: "timeout", timeoutMs: 500, deadlineMs: anHourOn },
  { id: "x".repeat(300), type: "plain" },
];
/** Left where they are, in a queue without workers. */
const parked: GoTask[] = [
  { id: "waits", type: "waits", headers: { a: "1" }, queue: "parked" },
  { id: "waits, unique", type: "waits", uniqueMs: hourMs, payload: Buffer.from("x"), queue: "parked" },
  { id: "unique, no payload", type: "waits", uniqueMs: hourMs, queue: "parked" },
  { id: "scheduled", type: "waits", processAtMs: anHourOn, queue: "parked" },
  {
    id: "scheduled, unique",
    type: "waits",
    processAtMs: anHourOn,
    uniqueMs: hourMs,
    payload: everyByte,
    queue: "parked",
  },
];

/** What a handler sees of a task, whichever language it is written in. */
interface Seen {
  readonly id: string;
  readonly type: string;
  readonly queue: string;
  readonly payload: string;
  readonly headers: Record<string, string>;
  readonly maxRetry: number;
}

const expected = (task: GoTask): Seen => ({
  id: task.id!,
  type: task.type,
  queue: task.queue ?? "default",
  payload: Buffer.from(task.payload ?? []).toString("hex"),
  headers: task.headers ?? {},
  maxRetry: task.maxRetry ?? 25,
});
const byId = (a: Seen, b: Seen) => (a.id < b.id ? -1 : 1);

type Language = "Go" | "TypeScript";
type Enqueue = (site: Site, tasks: readonly GoTask[]) => Promise<void>;
type Work = (site: Site, tasks: readonly GoTask[]) => Promise<Seen[]>;

const enqueueBy: Record<Language, Enqueue> = {
  async Go({ go }, tasks) {
    expect(await go.enqueue(...tasks)).toEqual(tasks.map(({ id }) => ({ id })));
  },
  async TypeScript({ broker }, tasks) {
    // One after the other, as Go's client does, so that pending has the same order.
    for (const task of tasks)
      expect(await new Client(broker).enqueue(ours(task))).toMatchObject({ status: "enqueued", id: task.id });
  },
};

const workBy: Record<Language, Work> = {
  async Go({ go }, tasks) {
    await go.serve({ queues, handlers: { kept: { result } } });
    for (const { id } of tasks) await go.ended(id!);
    await go.stop();
    const runs = go.events.filter(({ event }) => event === "end");
    return runs.map(({ id, type, queue, payload, headers, maxRetry }) => ({
      id,
      type,
      queue,
      payload: Buffer.from(payload ?? "", "base64").toString("hex"),
      headers: headers ?? {},
      maxRetry,
    }));
  },
  async TypeScript({ broker }, tasks) {
    const seen: Seen[] = [];
    const worker = new Worker(broker, { queues, pollInterval: "20ms" });
    for (const type of new Set(tasks.map((task) => task.type))) {
      const handler = (bytes: Uint8Array, { id, queue, headers, maxRetry }: TaskContext) => {
        seen.push({ id, type, queue, payload: Buffer.from(bytes).toString("hex"), headers, maxRetry });
        return result;
      };
      worker.handle(defineTask<Uint8Array, unknown>(type, { codec: rawBytes, retention: "0s" }), handler);
    }
    await worker.start();
    await until("all have run", () => seen.length >= tasks.length, 20_000);
    await worker.stop();
    return seen;
  },
};

describeGo("tasks between Go and TypeScript", () => {
  beforeAll(() => goProgram("witness"), buildTimeoutMs);

  describe.each([
    ["Go", "Go"],
    ["Go", "TypeScript"],
    ["TypeScript", "Go"],
    ["TypeScript", "TypeScript"],
  ] as const)("put there by %s, run by %s", (producer, worker) => {
    let reference: Site;
    let site: Site;

    beforeAll(async () => {
      [reference, site] = await Promise.all([Site.open(), Site.open()]);
    });
    afterAll(async () => {
      await Promise.all([reference.close(), site.close()]);
    });

    it("are stored alike, seen alike by the handler, and leave the same behind", async () => {
      const tasks = producer === "Go" ? [...worked, ...foreign] : worked;
      await Promise.all([
        enqueueBy.Go(reference, [...tasks, ...parked]),
        enqueueBy[producer](site, [...tasks, ...parked]),
      ]);
      expect(await asynqPart(site.server.admin)).toEqual(await asynqPart(reference.server.admin));

      const [asGo, seen] = await Promise.all([workBy.Go(reference, tasks), workBy[worker](site, tasks)]);

      expect(seen.toSorted(byId)).toEqual(tasks.map(expected).toSorted(byId));
      expect(asGo.toSorted(byId)).toEqual(seen.toSorted(byId));
      expect(await asynqPart(site.server.admin)).toEqual(await asynqPart(reference.server.admin));
      expect(site.go.warnings).toEqual([]);

      const kept = await site.go.find("default", "kept");
      expect(kept).toMatchObject({ state: "completed", result: Buffer.from(result).toString("base64") });
      expect(kept.completedAtMs).toBeGreaterThan(Date.now() - 60_000);
      expect(kept.retentionMs).toBe(hourMs);
    });
  });
});
