import { afterAll, beforeAll, beforeEach, expect, it } from "vitest";
import { silent } from "../../../src/core/log.js";
import { Client, defineTask, fixed, SkipRetry, Worker } from "../../../src/index.js";
import { until } from "../../support/until.js";
import { buildTimeoutMs, describeGo } from "./programs.js";
import { Site } from "./site.js";

const queue = "default";
const id = "flaky";

describeGo("a task that fails, with workers of Go and of TypeScript in turns", () => {
  let site: Site;

  beforeAll(async () => {
    site = await Site.open();
  }, buildTimeoutMs);
  afterAll(() => site.close());
  beforeEach(async () => {
    await site.server.admin.flushall();
  });

  const flaky = defineTask("flaky", { retry: fixed("1s"), maxRetry: 3, headers: { traceparent: "00-abc-01" } });

  async function failInGo(error: string, more: { fail?: number } = {}): Promise<void> {
    const runs = site.go.events.filter((one) => one.event === "end").length;
    await site.go.serve({ handlers: { flaky: { fail: 100, error, ...more } } });
    await until("Go has run it", () => site.go.events.filter((one) => one.event === "end").length > runs, 10_000);
    await site.go.stop();
  }

  /** Answers which attempt our handler was told it is. */
  async function runHere(handler: () => void): Promise<number> {
    let attempt: number | undefined;
    const worker = new Worker(site.broker, { pollInterval: "20ms", log: silent });
    worker.handle(flaky, (_payload, task) => {
      attempt = task.attempt;
      handler();
    });
    await worker.start();
    const told = await until("we have run it", () => attempt, 10_000);
    await worker.stop();
    return told;
  }
  const failHere = (error: string) =>
    runHere(() => {
      throw new Error(error);
    });
  const now = async () => {
    const { state, retried, lastErr, headers, lastFailedAtMs } = await site.go.find(queue, id);
    expect(lastFailedAtMs).toBeGreaterThan(Date.now() - 10_000);
    return { state, retried, lastErr, headers };
  };
  const headers = { traceparent: "00-abc-01" };

  it("has each failure counted once, whoever counts, and ends as one dead letter", async () => {
    await new Client(site.broker).enqueue(flaky(undefined, { id }));

    await failInGo("first, in Go");
    expect(await now()).toEqual({ state: "retry", retried: 1, lastErr: "first, in Go", headers });
    expect(await failHere("second, here")).toBe(2);
    expect(await now()).toEqual({ state: "retry", retried: 2, lastErr: "second, here", headers });
    await failInGo("third, in Go");
    expect(await now()).toEqual({ state: "retry", retried: 3, lastErr: "third, in Go", headers });
    expect(await failHere("fourth, here")).toBe(4);
    expect(await now()).toEqual({ state: "archived", retried: 3, lastErr: "fourth, here", headers });

    const today = await site.go.inspect<{ Processed: number; Failed: number }[]>("history", { queue, days: 1 });
    expect(today).toMatchObject([{ Processed: 4, Failed: 4 }]);
    const [info] = await site.broker.queues(site.broker.clock.nowMs());
    expect(info).toMatchObject({ processed: 4, failed: 4, counts: { archived: 1, retry: 0, active: 0, pending: 0 } });
  }, 40_000);

  it("shows the last failure as what it was, also when Go saw it", async () => {
    await new Client(site.broker).enqueue(flaky(undefined, { id, retention: "1h" }));
    const found = async () => (await site.broker.find([{ queue, id }]))[0]!;

    await failHere("ours");
    expect((await found()).failure).toMatchObject({ reason: "failed", message: "ours" });
    await failInGo("Go's");
    expect(await found()).toMatchObject({ failure: undefined, message: { lastError: "Go's" } });
    await failHere("ours again");
    expect((await found()).failure).toMatchObject({ reason: "failed", message: "ours again" });
    await failInGo("", { fail: 0 });
    expect(await found()).toMatchObject({ state: "completed", failure: undefined });
  }, 40_000);

  it("is archived at once when either says that trying again is of no use", async () => {
    const client = new Client(site.broker);
    await client.enqueue(flaky(undefined, { id }));
    await runHere(() => {
      throw new SkipRetry("no use");
    });
    expect(await now()).toEqual({ state: "archived", retried: 0, lastErr: "no use", headers });

    await site.go.inspect("run", { queue, id });
    await site.go.serve({ handlers: { flaky: { fail: 1, error: "none in Go", skip: true } } });
    await until("it is archived again", async () => (await now()).lastErr.startsWith("none in Go"), 10_000);
    await site.go.stop();
    expect(await now()).toMatchObject({ state: "archived", retried: 0, headers });
    // Ours is not of this attempt: it is an earlier one.
    expect((await site.broker.find([{ queue, id }]))[0]).toMatchObject({
      failure: { reason: "skip_retry", message: expect.stringMatching(/^none in Go/), inferred: true },
      history: [{ reason: "skip_retry", message: "no use" }],
    });
  }, 20_000);

  it("has the reason inferred that Go archived it for, and what Go stored without its secrets", async () => {
    const client = new Client(site.broker);
    const found = async () => (await site.broker.find([{ queue, id }]))[0]!;
    await client.enqueue(flaky(undefined, { id, maxRetry: 0 }));
    await failInGo("redis://:hunter2@db:6379 is away");
    expect(await found()).toMatchObject({
      state: "archived",
      enqueuedAtMs: undefined,
      failure: { reason: "retries_exhausted", message: "redis://[secret]@db:6379 is away", inferred: true },
    });

    await client.enqueue(flaky(undefined, { id: "by hand", processIn: "1h" }));
    await site.go.inspect("archive", { queue, id: "by hand" });
    expect((await site.broker.find([{ queue, id: "by hand" }]))[0]).toMatchObject({
      state: "archived",
      failure: { reason: "manual", inferred: true },
      history: [],
    });
  }, 20_000);
});
