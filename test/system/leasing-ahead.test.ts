import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type Broker, Client, defineTask, Inspector, Worker, type WorkerOptions } from "../../src/index.js";
import { embeddedBroker } from "../../src/embedded/index.js";
import { until } from "../support/until.js";

const quick = defineTask<{ n: number }>("quick", { timeout: "60s" });
const slow = defineTask<{ n: number }>("slow", { timeout: "60s" });
const sleep = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));
const numbers = (count: number) => Array.from({ length: count }, (_, n) => n);

describe("a worker that leases ahead", () => {
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
  const counts = async (queue = "default") =>
    (await broker.queues(broker.clock.nowMs())).find(({ name }) => name === queue)!.counts;

  it("holds more than its slots while handlers are quick, and none ahead while they are slow", async () => {
    await client.enqueueAll(numbers(2_000).map((n) => quick({ n })));
    let most = 0;
    const worker = newWorker({ concurrency: 4 }).handle(quick, () => sleep(1));
    await worker.start();
    await until("some wait beside those that run", async () => {
      most = Math.max(most, (await counts()).active);
      return most > 8;
    });
    await worker.stop();
    expect(most).toBeLessThanOrEqual(4 + 400);

    await client.enqueueAll(numbers(20).map((n) => slow({ n }, { queue: "slow" })));
    let ended = 0;
    const patient = newWorker({ concurrency: 4, queues: { slow: 1 } }).handle(slow, () =>
      sleep(250).then(() => void ended++),
    );
    await patient.start();
    let held = 0;
    await until("half of them have ended", async () => {
      held = Math.max(held, (await counts("slow")).active);
      return ended >= 10;
    });
    // 100 ms of work at 16 a second is one task.
    expect(held).toBeLessThanOrEqual(4 + 3);
  });

  it.each([
    ["strictly", true, 500],
    ["by weight", false, 3_000],
  ])("starts what may not be leased ahead before other queues are empty, %s", async (_, strictPriority, bound) => {
    const once = defineTask<{ n: number }>("once", { queue: "first", delivery: "at-most-once" });
    let ended = 0;
    const after: number[] = [];
    await client.enqueueAll(numbers(6_000).map((n) => quick({ n })));
    newWorker({ concurrency: 4, queues: { first: 2, default: 1 }, strictPriority })
      .handle(quick, () => sleep(1).then(() => void (ended += 1)))
      .handle(once, () => void after.push(ended));
    await workers[0]!.start();
    await until("it leases ahead", async () => (await counts()).active > 8);
    const before = ended;
    await client.enqueueAll(numbers(8).map((n) => once({ n })));
    await until("they ran", () => after.length === 8);
    expect(after.at(-1)! - before).toBeLessThan(bound);
  });

  it("gives back in order what could not start for a second, and counts no return", async () => {
    let block = false;
    const order: number[] = [];
    const ends: (() => void)[] = [];
    const worker = newWorker({ concurrency: 2 }).handle(quick, async ({ n }) => {
      if (!block) return sleep(1);
      order.push(n);
      await new Promise<void>((resolve) => ends.push(resolve));
    });
    await client.enqueueAll(numbers(3_000).map((n) => quick({ n })));
    await worker.start();
    await until("it leases ahead", async () => (await counts()).active > 20);
    block = true;
    await until("what waited went back", async () => ends.length === 2 && (await counts()).active === 2, 10_000);

    const page = await broker.list({ queue: "default", state: "pending" }, { limit: 50 });
    const waiting = page.items.map(({ message }) => (JSON.parse(String(message!.payload)) as { n: number }).n);
    expect(waiting).toEqual(numbers(50).map((n) => order.at(-1)! + 1 + n));
    expect(worker.counters().released).toBeGreaterThan(10);
    for (const end of ends) end();
  });

  it.each([
    ["when it stops", (worker: Worker) => worker.stop()],
    ["when its queue is paused", () => new Inspector(broker).pause("default")],
  ])("gives back what waits %s", async (_, end) => {
    await client.enqueueAll(numbers(5_000).map((n) => quick({ n })));
    const worker = newWorker({ concurrency: 2 }).handle(quick, () => sleep(2));
    await worker.start();
    await until("it leases ahead", async () => (await counts()).active > 20);
    await end(worker);
    await until("it holds nothing", async () => (await counts()).active === 0);

    const { completed, released } = worker.counters();
    expect(await counts()).toMatchObject({ active: 0, pending: 5_000 - completed });
    expect(released).toBeGreaterThan(0);
  });

  it("runs at most so many of a type and of a queue at once", async () => {
    const running = { quick: 0, slow: 0 };
    const most = { quick: 0, slow: 0 };
    const run = (type: "quick" | "slow") => async () => {
      most[type] = Math.max(most[type], ++running[type]);
      await sleep(5);
      running[type] -= 1;
    };
    await client.enqueueAll([
      ...numbers(60).map((n) => quick({ n })),
      ...numbers(60).map((n) => slow({ n }, { queue: "narrow" })),
    ]);
    const worker = newWorker({ concurrency: 10, queues: { default: 1, narrow: { concurrency: 2 } } })
      .handle(quick, run("quick"), { concurrency: 3 })
      .handle(slow, run("slow"));

    expect(await worker.drain()).toMatchObject({ completed: 120, released: 0 });
    expect(most).toEqual({ quick: 3, slow: 2 });
  });

  it("drains a hundred queues, although its handlers put tasks into some that were empty", async () => {
    const names = numbers(100).map((n) => `q${n}`);
    const hops = 30;
    await client.enqueue(quick({ n: 0 }, { queue: names[0]! }));
    const ran: number[] = [];
    await newWorker({ concurrency: 1, queues: Object.fromEntries(names.map((name) => [name, 1])) })
      .handle(quick, async ({ n }) => {
        ran.push(n);
        if (n < hops) await client.enqueue(quick({ n: n + 1 }, { queue: names[(37 * (n + 1)) % 100]! }));
      })
      .drain();
    expect(ran).toEqual(numbers(hops + 1));
  });

  it("works through a thousand queues", async () => {
    const queues = Object.fromEntries(numbers(1_000).map((n) => [`q${n}`, 1]));
    await client.enqueueAll(numbers(1_000).map((n) => quick({ n }, { queue: `q${n}` })));
    expect(
      await newWorker({ queues })
        .handle(quick, () => {})
        .drain(),
    ).toMatchObject({ completed: 1_000 });
  });

  it.each([
    [{ default: { weight: 0 } }, "queues.default.weight"],
    [{ default: { concurrency: 1.5 } }, "queues.default.concurrency"],
    [{ default: { limit: 3 } }, "queues.default.limit"],
  ])("refuses queues: %j", (queues, option) => {
    expect(() => new Worker(broker, { queues: queues as never })).toThrow(
      expect.objectContaining({ data: expect.objectContaining({ option: expect.stringContaining(option) }) }),
    );
  });

  it.each([0, 2.5, "3"])("refuses a handler's concurrency of %j", (concurrency) => {
    expect(() => new Worker(broker).handle(quick, () => {}, { concurrency: concurrency as never })).toThrow(
      expect.objectContaining({ data: expect.objectContaining({ option: "handle.concurrency" }) }),
    );
  });
});
