import { afterAll, beforeAll, beforeEach, expect, it } from "vitest";
import { silent } from "../../../src/core/log.js";
import { Client, defineTask, fixed, type TaskOptions, Worker } from "../../../src/index.js";
import { until } from "../../support/until.js";
import { buildTimeoutMs, describeGo } from "./programs.js";
import { Site } from "./site.js";

const queue = "default";
const id = "long";

describeGo("cancelling, between Go and TypeScript", () => {
  let site: Site;
  beforeAll(async () => {
    site = await Site.open();
  }, buildTimeoutMs);
  afterAll(() => site.close());
  beforeEach(async () => {
    await site.server.admin.flushall();
    site.go.events.length = 0;
  });

  const long = defineTask("long", { retry: fixed("1s") });
  const put = (more: TaskOptions = {}) => new Client(site.broker).enqueue(long(undefined, { id, ...more }));

  it("Go's inspector aborts a handler of ours within a second, and the task is tried again", async () => {
    await put();
    let reason: unknown;
    let startedAtMs = 0;
    const worker = new Worker(site.broker, { pollInterval: "20ms", log: silent });
    worker.handle(long, async (_payload, { signal, attempt }) => {
      if (attempt > 1) return;
      startedAtMs = performance.now();
      await new Promise((_resolve, reject) =>
        signal.addEventListener("abort", () => {
          ({ reason } = signal);
          reject(signal.reason as Error);
        }),
      );
    });
    await worker.start();
    await until("it runs", () => startedAtMs > 0);

    await site.go.inspect("cancel", { id });
    await until("it is aborted", () => reason, 1_000);

    expect(reason).toMatchObject({ code: "TASK_CANCELLED" });
    await until("it has run again", () => worker.counters().completed === 1, 5_000);
    expect(worker.counters()).toMatchObject({ retried: 1, completed: 1 });
    await worker.stop();
  });

  it("ours ends a Go handler's context within a second, and the task is tried again", async () => {
    await put();
    await site.go.serve({ handlers: { long: { block: true } }, retryDelayMs: 60_000 });
    await site.go.started(id);

    const askedAtMs = performance.now();
    expect(await site.inspector.cancel({ queue, ids: [id] })).toEqual({ receipts: [{ id, status: "requested" }] });
    const [run] = await site.go.ended(id);

    expect(performance.now() - askedAtMs).toBeLessThan(1_000);
    expect(run).toMatchObject({ error: "context canceled" });
    await until("it is to be tried again", async () => (await site.go.find(queue, id)).state === "retry");
    expect(await site.go.find(queue, id)).toMatchObject({ retried: 1, lastErr: "context canceled" });
    await site.go.stop();
  });

  it("what was asked of a Go worker, and done, is not done again to the next run here", async () => {
    await put();
    await site.go.serve({ handlers: { long: { block: true } }, retryDelayMs: 0 });
    await site.go.started(id);
    await site.inspector.cancel({ queue, ids: [id] }, { retry: false });
    await site.go.ended(id);
    await site.go.stop();

    let ended = false;
    const worker = new Worker(site.broker, { pollInterval: "20ms", leaseDuration: "5s", log: silent });
    worker.handle(long, async (_payload, { signal }) => {
      // Longer than a renewal takes, which tells a worker what was asked for.
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, 2_500);
        signal.addEventListener("abort", () => {
          clearTimeout(timer);
          resolve();
        });
      });
      expect(signal.aborted).toBe(false);
      ended = true;
    });
    await worker.start();
    await until(
      "it has run",
      () => Object.values(worker.counters()).some((count) => count > 0) && worker.counters().running === 0,
      10_000,
    );
    await worker.stop();

    expect([worker.counters(), ended]).toMatchObject([{ completed: 1, archived: 0, retried: 0 }, true]);
  }, 20_000);
});
