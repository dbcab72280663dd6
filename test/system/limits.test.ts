import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, describe, expect, it } from "vitest";
import type { EnqueueReceipt, Gauging, Producing } from "../../src/broker/broker.js";
import { DisciplinedClock } from "../../src/core/clock.js";
import { Client, type ClientOptions, defineTask, HoldfastError } from "../../src/index.js";
import { type TestBroker, testBroker } from "../../src/testing/index.js";
import { until } from "../support/until.js";

const ping = defineTask("ping");
const brokers: TestBroker[] = [];
afterEach(async () => {
  await Promise.all(brokers.splice(0).map((broker) => broker.close()));
});

/** Storage in memory, and how often it was asked how much is pending. */
function storage() {
  const broker = testBroker();
  brokers.push(broker);
  const looks: number[] = [];
  const counted: Producing & Gauging = {
    label: broker.label,
    clock: broker.clock,
    enqueue: (tasks, nowMs) => broker.enqueue(tasks, nowMs),
    ping: () => broker.ping(),
    async pending(queues) {
      looks.push(performance.now());
      return broker.pending(queues);
    },
  };
  return { broker, counted, looks };
}
const unavailable = () =>
  new HoldfastError("BROKER_UNAVAILABLE", { broker: "scripted", problem: "away", outcome: "notSent", taskIds: [] });
const codeOf = (thrown: unknown) => (thrown instanceof HoldfastError ? thrown.code : thrown);
const tried = (enqueue: Promise<EnqueueReceipt | EnqueueReceipt[]>) => enqueue.then(() => "enqueued", codeOf);
const times = <T>(count: number, make: () => T) => Array.from({ length: count }, make);

describe("a client's rate limit", () => {
  it("refuses what is over it, says when there is room, and counts it as failed", async () => {
    const { counted, broker } = storage();
    const client = new Client(counted, { rateLimit: { perSecond: 2, burst: 3 } });

    const results = await Promise.all(
      times(6, () =>
        client.enqueue(ping()).then(
          ({ status }) => status,
          (thrown: unknown) => thrown,
        ),
      ),
    );

    expect(results.slice(0, 3)).toEqual(times(3, () => "enqueued"));
    for (const error of results.slice(3)) {
      expect(HoldfastError.is(error, "ENQUEUE_LIMITED") && error.data.perSecond).toBe(2);
      expect(HoldfastError.is(error, "ENQUEUE_LIMITED") && error.data.retryAfterMs).toBeGreaterThan(0);
      expect(HoldfastError.is(error, "ENQUEUE_LIMITED") && error.data.retryAfterMs).toBeLessThanOrEqual(500);
    }
    expect(client.counters()).toMatchObject({ enqueued: 3, failed: 3 });
    expect(await broker.pending(["default"])).toEqual([3]);
  });

  it("with whenLimited: wait makes them wait their turn, and refuses who would wait past the timeout", async () => {
    const { counted } = storage();
    const options: ClientOptions = { rateLimit: { perSecond: 20, burst: 1 }, whenLimited: "wait", timeout: "280ms" };
    const client = new Client(counted, options);
    const begunMs = performance.now();

    const results = await Promise.all(times(10, () => tried(client.enqueue(ping()))));

    const enqueued = results.filter((result) => result === "enqueued").length;
    expect(results.slice(0, enqueued)).toEqual(times(enqueued, () => "enqueued"));
    expect(enqueued).toBeGreaterThanOrEqual(5);
    expect(enqueued).toBeLessThan(10);
    expect(performance.now() - begunMs).toBeGreaterThanOrEqual((enqueued - 1) * 50 - 2);
  });
});

describe("a client's maxPending", () => {
  it("refuses what would make a queue longer, each queue by itself", async () => {
    const { counted, broker } = storage();
    const client = new Client(counted, { maxPending: 3 });

    const results = await Promise.all(times(5, () => tried(client.enqueue(ping()))));
    const error = await client.enqueue(ping()).catch((thrown: unknown) => thrown);

    expect(results).toEqual([...times(3, () => "enqueued"), ...times(2, () => "QUEUE_FULL")]);
    expect(HoldfastError.is(error, "QUEUE_FULL") && error.data).toEqual({
      queue: "default",
      pending: 3,
      tasks: 1,
      maxPending: 3,
    });
    expect(await tried(client.enqueue(ping(undefined, { queue: "other" })))).toBe("enqueued");
    expect(await broker.pending(["default", "other"])).toEqual([3, 1]);
  });

  it("takes a list whole or not at all", async () => {
    const { counted, broker } = storage();
    const client = new Client(counted, { maxPending: 3, rateLimit: { perSecond: 1, burst: 100 } });

    expect(await tried(client.enqueueAll(times(4, () => ping())))).toBe("QUEUE_FULL");
    expect(await tried(client.enqueueAll(times(3, () => ping())))).toBe("enqueued");
    expect(await tried(client.enqueueAll(times(97, () => ping(undefined, { queue: "b" }))))).toBe("QUEUE_FULL");
    expect(await broker.pending(["default", "b"])).toEqual([3, 0]);
  });

  it("looks at most every 250 ms, and once for those who come together", async () => {
    const { counted, looks } = storage();
    const client = new Client(counted, { maxPending: 1_000_000 });

    while (looks.length < 3) await Promise.all(times(10, () => client.enqueue(ping())));

    expect(looks.slice(1).every((at, n) => at - looks[n]! >= 249)).toBe(true);
  });

  it("with whenLimited: wait goes on when workers have made room, and gives up at the timeout", async () => {
    const { counted, broker } = storage();
    const client = new Client(counted, { maxPending: 2, whenLimited: "wait", timeout: "5s" });
    await client.enqueueAll([ping(), ping()]);
    expect(
      await tried(new Client(counted, { maxPending: 2, whenLimited: "wait", timeout: "100ms" }).enqueue(ping())),
    ).toBe("QUEUE_FULL");

    let done = false;
    const waiting = client.enqueue(ping()).finally(() => (done = true));
    await client.enqueue(ping(undefined, { queue: "other" }));
    expect(done).toBe(false);
    const { leased } = await broker.exchange(
      {
        settle: [],
        lease: { workerId: "w", requestId: "r", queues: ["default"], limit: 1, leaseMs: 30_000, suspects: 0 },
      },
      broker.clock.nowMs(),
    );

    expect(leased).toHaveLength(1);
    expect(await waiting).toMatchObject({ status: "enqueued" });
  });

  it("refuses the less important first, and that with no number never", async () => {
    const { counted } = storage();
    const client = new Client(counted, { maxPending: { low: 1, normal: 2 } });
    const some = (importance: "low" | "normal" | "high") => tried(client.enqueue(ping(undefined, { importance })));
    const cleanUp = defineTask("clean-up", { importance: "low" });

    expect(await some("normal")).toBe("enqueued");
    expect(await some("low")).toBe("QUEUE_FULL");
    expect(await tried(client.enqueue(cleanUp()))).toBe("QUEUE_FULL");
    expect(await some("normal")).toBe("enqueued");
    expect(await some("normal")).toBe("QUEUE_FULL");
    expect(await some("high")).toBe("enqueued");
  });

  it("holds nothing back while it is not known how much is pending", async () => {
    const { counted } = storage();
    const blind = { ...counted, pending: () => Promise.reject(unavailable()) };

    expect(await tried(new Client(blind, { maxPending: 1 }).enqueueAll([ping(), ping()]))).toBe("enqueued");
  });

  it("goes by the last look while the next one takes long", async () => {
    const { counted } = storage();
    const slow = {
      ...counted,
      pending: (queues: readonly string[]) =>
        sleep(
          300,
          queues.map(() => 1_000_000),
        ),
    };
    const client = new Client(slow, { maxPending: 10 });
    const results: Promise<unknown>[] = [];

    for (let n = 0; n < 80; n += 1) {
      results.push(tried(client.enqueue(ping())));
      await sleep(15);
    }

    expect(new Set(await Promise.all(results))).toEqual(new Set(["QUEUE_FULL"]));
  });

  it("says so when it may not look, instead of letting everything pass", async () => {
    const { counted } = storage();
    const refusal = new HoldfastError("BROKER_FAILED", { broker: "scripted", problem: "NOPERM" });
    const client = new Client({ ...counted, pending: () => Promise.reject(refusal) }, { maxPending: 1 });

    expect([await tried(client.enqueue(ping())), await tried(client.enqueue(ping()))]).toEqual([
      "BROKER_FAILED",
      "BROKER_FAILED",
    ]);
  });

  it("does not look while storage is known to be away", async () => {
    const { counted, looks } = storage();
    const fail = () => Promise.reject(unavailable());
    const down = { ...counted, enqueue: fail, ping: fail };
    const client = new Client(down, { maxPending: 1_000, timeout: "10ms" });
    const state = () => client.health().storage[0]?.state;
    await until("the breaker opens", async () => {
      await tried(client.enqueue(ping()));
      return state() === "open";
    });
    const before = looks.length;
    await until("the last look is old", () => performance.now() - looks.at(-1)! > 300);

    expect(await tried(client.enqueue(ping()))).toBe("BROKER_UNAVAILABLE");
    expect({ state: state(), looks: looks.length }).toEqual({ state: "open", looks: before });
  });
});

describe("a client with limits", () => {
  it.each<[unknown, string]>([
    [{ maxPending: 0 }, "Client.maxPending"],
    [{ maxPending: "10" }, "Client.maxPending"],
    [{ maxPending: { low: 0 } }, "Client.maxPending.low"],
    [{ maxPending: { urgent: 5 } }, "Client.maxPending.urgent"],
    [{ rateLimit: 5 }, "Client.rateLimit"],
    [{ rateLimit: {} }, "Client.rateLimit.perSecond"],
    [{ rateLimit: { perSecond: 0 } }, "Client.rateLimit.perSecond"],
    [{ rateLimit: { perSecond: 1, burst: 0.5 } }, "Client.rateLimit.burst"],
    [{ rateLimit: { perSecond: 1, per: "second" } }, "Client.rateLimit.per"],
    [{ whenLimited: "drop" }, "Client.whenLimited"],
  ])("refuses the options %j and names %s", (options, option) => {
    expect(() => new Client(storage().counted, options as never)).toThrow(
      expect.objectContaining({ code: "OPTION_INVALID", data: expect.objectContaining({ option }) }),
    );
  });

  it("refuses maxPending with a broker that does not tell how much is pending", () => {
    const broker: Producing = {
      label: "plain",
      clock: new DisciplinedClock(),
      enqueue: async () => [],
      ping: async () => {},
    };

    expect(() => new Client(broker, { maxPending: 1 })).toThrow(
      expect.objectContaining({ data: expect.objectContaining({ option: "Client.maxPending" }) }),
    );
  });
});
