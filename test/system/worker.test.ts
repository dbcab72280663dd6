import { hostname } from "node:os";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  type Broker,
  Client,
  defineTask,
  fixed,
  HoldfastError,
  rawBytes,
  RetryAfter,
  Revoke,
  SkipRetry,
  type TaskContext,
  Worker,
  type WorkerOptions,
} from "../../src/index.js";
import { embeddedBroker } from "../../src/embedded/index.js";
import { until } from "../support/until.js";

const ping = defineTask<{ n: number }>("ping", { retry: fixed("1s"), timeout: "30s" });

describe("worker", () => {
  let broker: Broker;
  let client: Client;
  const workers: Worker[] = [];

  beforeEach(() => {
    broker = embeddedBroker({ file: ":memory:" });
    client = new Client(broker);
  });
  afterEach(async () => {
    await Promise.all(workers.splice(0).map((worker) => worker.stop({ timeout: "0s" })));
    await broker.close();
  });

  const newWorker = (options: WorkerOptions = {}) => {
    const worker = new Worker(broker, { pollInterval: "20ms", abortGrace: "100ms", ...options });
    workers.push(worker);
    return worker;
  };
  const infoOf = async (id: string, queue = "default") => (await broker.find([{ queue, id }]))[0];

  it("runs each enqueued task once and leaves nothing behind", async () => {
    const seen: number[] = [];
    const receipts = await client.enqueueAll(Array.from({ length: 250 }, (_, n) => ping({ n })));

    const counters = await newWorker()
      .handle(ping, ({ n }) => void seen.push(n))
      .drain();

    expect(new Set(receipts.map((receipt) => receipt.status))).toEqual(new Set(["enqueued"]));
    expect(seen.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 250 }, (_, n) => n));
    expect(counters).toMatchObject({ completed: 250, retried: 0, archived: 0, leaseLost: 0, running: 0 });
    expect((await broker.queues(broker.clock.nowMs()))[0]).toMatchObject({ processed: 250, failed: 0 });
  });

  it("runs tasks of one queue in the order they came, one at a time", async () => {
    const seen: number[] = [];
    for (let n = 0; n < 20; n += 1) await client.enqueue(ping({ n }));

    await newWorker({ concurrency: 1 })
      .handle(ping, ({ n }) => void seen.push(n))
      .drain();

    expect(seen).toEqual(Array.from({ length: 20 }, (_, n) => n));
  });

  it("never runs more than `concurrency` handlers at once, and does run that many", async () => {
    let running = 0;
    let most = 0;
    await client.enqueueAll(Array.from({ length: 60 }, (_, n) => ping({ n })));

    await newWorker({ concurrency: 7 })
      .handle(ping, async () => {
        most = Math.max(most, (running += 1));
        await new Promise((resolve) => setTimeout(resolve, 5));
        running -= 1;
      })
      .drain();

    expect(most).toBe(7);
  });

  it("hands the handler its payload, its context and what middleware lets through, outermost first", async () => {
    const order: string[] = [];
    let context: Pick<TaskContext, "id" | "type" | "queue" | "attempt" | "maxRetry" | "headers"> | undefined;
    const { id } = await client.enqueue(ping({ n: 7 }, { headers: { traceparent: "00-abc-01" }, maxRetry: 3 }));
    const worker = newWorker()
      .use(async (_task, next) => {
        order.push("outer in");
        const result = await next();
        order.push("outer out");
        return result;
      })
      .use(async (_task, next) => {
        order.push("inner");
        return next();
      })
      .handle(ping, ({ n }, task) => {
        order.push(`handler ${n}`);
        context = {
          id: task.id,
          type: task.type,
          queue: task.queue,
          attempt: task.attempt,
          maxRetry: task.maxRetry,
          headers: task.headers,
        };
      });

    await worker.drain();

    expect(order).toEqual(["outer in", "inner", "handler 7", "outer out"]);
    expect(context).toMatchObject({ id, type: "ping", queue: "default", attempt: 1, maxRetry: 3 });
    expect(context?.headers["traceparent"]).toBe("00-abc-01");
  });

  it("tries a failed task again by its policy, counting, until it succeeds", async () => {
    const attempts: number[] = [];
    const { id } = await client.enqueue(ping({ n: 1 }, { retention: "1h" }));
    const worker = newWorker().handle(ping, (_payload, task) => {
      attempts.push(task.attempt);
      if (task.attempt < 3) throw new Error("not yet");
    });

    await worker.start();
    await until("it completed", async () => (await infoOf(id))?.state === "completed", 10_000);

    expect(attempts).toEqual([1, 2, 3]);
    expect(worker.counters()).toMatchObject({ retried: 2, completed: 1 });
  });

  it("archives a task when its last retry fails, with the failure's record", async () => {
    const { id } = await client.enqueue(ping({ n: 1 }, { maxRetry: 0 }));

    await newWorker({ keepStacks: true })
      .handle(ping, () => {
        throw new TypeError("no such column");
      })
      .drain();

    const info = await infoOf(id);
    expect(info).toMatchObject({
      state: "archived",
      failure: { reason: "retries_exhausted", class: "TypeError", message: "no such column" },
      message: { lastError: "no such column", retried: 0 },
    });
    expect(info?.failure?.stack).toContain("worker.test.ts");
  });

  it("stores with a failure where it was, what it was, and what the handler said last, without secrets", async () => {
    const trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    const headers = { traceparent: `00-${trace}-00f067aa0ba902b7-01` };
    const { id } = await client.enqueue(ping({ n: 1 }, { maxRetry: 1, headers }));
    const worker = newWorker({
      build: "1.4.2",
      logLink: "https://logs/?q={id}&n={attempt}&t={traceId}&h={host}",
      scrub: [/EMP-\d+/],
      pollInterval: "20ms",
    }).handle(ping, (_, task) => {
      for (let n = 0; n < 25; n++) task.log(`line ${n} ${"x".repeat(60)}`);
      task.log("password=hunter2 of EMP-17");
      throw new Error("postgres://app:hunter2@db/shop refused EMP-17");
    });
    await worker.start();
    const info = await until(
      "it is a dead letter",
      async () => {
        const now = await infoOf(id);
        return now?.state === "archived" ? now : undefined;
      },
      10_000,
    );

    const host = hostname();
    expect(info).toMatchObject({
      enqueuedAtMs: expect.any(Number),
      traceId: trace,
      failure: {
        message: "postgres://[secret]@db/shop refused [secret]",
        host,
        build: "1.4.2",
        attempt: 2,
        logUrl: `https://logs/?q=${id}&n=2&t=${trace}&h=${host}`,
      },
      history: [{ attempt: 1, reason: "failed", host }],
      message: { lastError: "postgres://[secret]@db/shop refused [secret]" },
    });
    const log = info.failure!.log!;
    expect(log).toHaveLength(20);
    expect(log.join("")).toHaveLength(Math.min(log.join("").length, 2_048));
    expect(log.at(-1)).toMatch(/^\d+\.\d{3}s password=\[secret\] of \[secret\]$/);
    expect(JSON.stringify(info)).not.toMatch(/hunter2|EMP-17/);
  });

  it.each([
    [{ build: "" }, /Worker\.build/],
    [{ build: "a\nb" }, /Worker\.build/],
    [{ logLink: "logs/{id}" }, /Worker\.logLink.*must be a URL/],
    [{ logLink: "https://logs/{task}" }, /\{task\}.*there are \{id\}/],
    [{ scrub: "password" as never }, /Worker\.scrub/],
  ])("refuses %j, naming the option", (options, problem) => {
    expect(() => newWorker(options)).toThrow(problem);
  });

  it.each([
    [
      "SkipRetry archives at once",
      new SkipRetry("no such user"),
      { state: "archived", failure: { reason: "skip_retry" } },
    ],
    ["RetryAfter waits without counting", new RetryAfter("1h"), { state: "retry", message: { retried: 0 } }],
    ["Revoke forgets the task", new Revoke(), undefined],
    [
      "a thrown string is a failure",
      "plain text",
      { state: "retry", message: { retried: 1, lastError: "plain text" } },
    ],
    ["a thrown null is a failure", null, { state: "retry", message: { retried: 1, lastError: "null" } }],
  ])("%s", async (_name, thrown, expected) => {
    const { id } = await client.enqueue(ping({ n: 1 }));

    await newWorker()
      .handle(ping, () => {
        // oxlint-disable-next-line typescript/only-throw-error -- handlers do
        throw thrown;
      })
      .drain();

    const info = await infoOf(id);
    if (expected === undefined) expect(info).toBeUndefined();
    else expect(info).toMatchObject(expected);
  });

  it("keeps a typed result with the completed task", async () => {
    const count = defineTask<{ words: string[] }, { count: number }>("count", { retention: "1d" });
    const { id } = await client.enqueue(count({ words: ["a", "b"] }));

    await newWorker()
      .handle(count, ({ words }) => ({ count: words.length }))
      .drain();

    const info = await infoOf(id);
    expect(info?.state).toBe("completed");
    expect(JSON.parse(Buffer.from(info!.result!).toString())).toEqual({ count: 2 });
  });

  it("carries raw bytes unchanged", async () => {
    const blob = defineTask<Uint8Array>("blob", { codec: rawBytes });
    const bytes = Uint8Array.from({ length: 256 }, (_, index) => index);
    let got: Uint8Array | undefined;
    await client.enqueue(blob(bytes));

    await newWorker()
      .handle(blob, (payload) => void (got = payload))
      .drain();

    expect(Buffer.from(got!)).toEqual(Buffer.from(bytes));
  });

  it("aborts the signal at the timeout, and retries when the handler gives in", async () => {
    let reason: unknown;
    const { id } = await client.enqueue(ping({ n: 1 }, { timeout: "1s" }));

    await newWorker()
      .handle(ping, async (_payload, task) => {
        await new Promise<void>((resolve) => task.signal.addEventListener("abort", () => resolve()));
        reason = task.signal.reason;
        throw new Error("cut short");
      })
      .drain();

    expect(HoldfastError.is(reason, "TASK_TIMEOUT")).toBe(true);
    expect(await infoOf(id)).toMatchObject({ state: "retry", failure: { reason: "timeout" }, message: { retried: 1 } });
  });

  it("abandons a handler that ignores its signal once the abort grace is over", async () => {
    const warnings: string[] = [];
    const log = {
      debug() {},
      info() {},
      error() {},
      warn: (_fields: object, sentence: string) => void warnings.push(sentence),
    };
    let release = () => {};
    const { id } = await client.enqueue(ping({ n: 1 }, { timeout: "1s", maxRetry: 0 }));

    await newWorker({ log })
      .handle(ping, () => new Promise<void>((resolve) => (release = resolve)))
      .drain();
    release();

    expect(await infoOf(id)).toMatchObject({ state: "archived", failure: { reason: "timeout" } });
    expect(warnings.join()).toContain("abandoned");
  });

  it("does not start a task whose deadline has passed", async () => {
    let ran = false;
    const { id } = await client.enqueue(ping({ n: 1 }, { deadline: new Date(Date.now() - 60_000) }));

    await newWorker()
      .handle(ping, () => void (ran = true))
      .drain();

    expect(ran).toBe(false);
    expect(await infoOf(id)).toMatchObject({ state: "archived", failure: { reason: "deadline" } });
  });

  it("gives a task whose type it does not know back for others, without counting a failure", async () => {
    const { id } = await client.enqueue(defineTask("stranger")());

    await newWorker()
      .handle(ping, () => {})
      .drain();

    expect(await infoOf(id)).toMatchObject({
      state: "retry",
      failure: { reason: "no_handler" },
      message: { retried: 0 },
    });
  });

  it("archives a payload that its schema refuses, for trying again cannot help", async () => {
    const strict = defineTask("ping", { schema: positive });
    const { id } = await client.enqueue(ping({ n: -1 }));

    await newWorker()
      .handle(strict, () => {})
      .drain();

    expect(await infoOf(id)).toMatchObject({ state: "archived", failure: { reason: "schema_mismatch" } });
  });

  it("stops in two phases: waits for handlers, then aborts and releases what is left", async () => {
    const reasons: unknown[] = [];
    const [quick, slow] = await client.enqueueAll([ping({ n: 1 }), ping({ n: 2 })]);
    const worker = newWorker({ concurrency: 2 }).handle(ping, async ({ n }, task) => {
      if (n === 1) return new Promise((resolve) => setTimeout(resolve, 100));
      await new Promise<void>((resolve) => task.signal.addEventListener("abort", () => resolve()));
      reasons.push(task.signal.reason);
      throw task.signal.reason;
    });
    await worker.start();
    await until("both run", () => worker.counters().running === 2);

    await worker.stop({ timeout: "300ms" });

    expect(await infoOf(quick!.id)).toBeUndefined();
    expect(await infoOf(slow!.id)).toMatchObject({ state: "pending", message: { retried: 0 } });
    expect(HoldfastError.is(reasons[0], "WORKER_STOPPING")).toBe(true);
    expect(worker.counters()).toMatchObject({ completed: 1, released: 1, running: 0 });
  });

  it("gives a queue of little weight its share while one of more is full", async () => {
    // At most once: none is leased ahead, so each is a turn of its own.
    const mark = defineTask<string>("mark", { delivery: "at-most-once" });
    await client.enqueueAll(
      ["heavy", "light"].flatMap((queue) => Array.from({ length: 80 }, () => mark(queue, { queue }))),
    );
    const order: string[] = [];
    await newWorker({ concurrency: 1, queues: { light: 1, heavy: 3 } })
      .handle(mark, (name) => void order.push(name))
      .drain();

    // By chance a quarter of them: 20, and 5 or 40 once in 10,000 runs.
    const light = order.slice(0, 80).filter((name) => name === "light").length;
    expect(light).toBeGreaterThan(5);
    expect(light).toBeLessThan(40);
  });

  it("looks at queues strictly by weight when told so", async () => {
    const order: string[] = [];
    const mark = defineTask<string>("mark");
    await client.enqueueAll([
      ...Array.from({ length: 10 }, () => mark("low", { queue: "low" })),
      ...Array.from({ length: 10 }, () => mark("high", { queue: "high" })),
    ]);

    await newWorker({ concurrency: 1, queues: { low: 1, high: 9 }, strictPriority: true })
      .handle(mark, (name) => void order.push(name))
      .drain();

    expect(order).toEqual([...Array.from({ length: 10 }, () => "high"), ...Array.from({ length: 10 }, () => "low")]);
  });

  it("refuses a second handler for a type and a second start", async () => {
    const worker = newWorker().handle(ping, () => {});

    expect(() => worker.handle(ping, () => {})).toThrow(expect.objectContaining({ code: "HANDLER_EXISTS" }));
    await worker.start();
    await expect(worker.start()).rejects.toMatchObject({ code: "CLOSED" });
  });
});

/** A Standard Schema by hand, to show that the interface is all that is needed. */
const positive = {
  "~standard": {
    version: 1 as const,
    vendor: "test",
    validate: (value: unknown) =>
      (value as { n: number }).n > 0
        ? { value: value as { n: number } }
        : { issues: [{ message: "must be positive", path: ["n"] }] },
  },
};
