import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { describe, expect, it, onTestFinished } from "vitest";
import { MemorySpool } from "../../test/support/memory-spool.js";
import { until } from "../../test/support/until.js";
import type { Assurance, EnqueueReceipt, Producing } from "../broker/broker.js";
import { DisciplinedClock } from "../core/clock.js";
import { HoldfastError } from "../core/errors.js";
import type { NewTask } from "../core/message.js";
import { defineTask } from "../core/task.js";
import { Client, type ClientOptions } from "./client.js";

const ping = defineTask<{ n: number }>("ping");

let storages = 0;

type Weather = "fair" | "away" | "unknown" | "refusing";

/** A storage that can be away, in parts named after their queues if there are several. */
class Storage implements Producing {
  readonly label = `scripted:${++storages}`;
  readonly clock = new DisciplinedClock();
  readonly calls: (readonly NewTask[])[] = [];
  readonly assurances: Assurance[] = [];
  /** How long each call had, ms. */
  readonly within: number[] = [];
  readonly spool: MemorySpool | undefined;
  readonly shardOf?: (queue: string) => string;
  weather: Weather = "fair";
  /** Queues whose part of storage is away. */
  readonly away = new Set<string>();
  pings = 0;

  constructor(options: { spool?: MemorySpool; parts?: boolean } = {}) {
    this.spool = options.spool;
    if (options.parts === true) this.shardOf = (queue) => `node of ${queue}`;
  }

  async enqueue(tasks: readonly NewTask[], _ = 0, withinMs = 0): Promise<EnqueueReceipt[]> {
    this.calls.push(tasks);
    this.within.push(withinMs);
    this.#answer(tasks.some(({ message }) => this.away.has(message.queue)));
    return tasks.map((task) => ({ status: "enqueued", id: task.message.id, state: "pending" }));
  }

  async enqueueAssured(tasks: readonly NewTask[], nowMs: number, withinMs: number, assurance: Assurance) {
    this.assurances.push(assurance);
    if (assurance.replicas > 1) throw this.#error("unknown", { acknowledged: { replicas: 1, wanted: 2 } });
    return this.enqueue(tasks, nowMs, withinMs);
  }

  async ping(queue?: string): Promise<void> {
    this.pings += 1;
    this.#answer(queue !== undefined && this.away.has(queue));
  }

  #answer(away: boolean): void {
    if (this.weather !== "fair" || away) {
      const outcomes = { fair: "notSent", away: "notSent", unknown: "unknown", refusing: "refused" } as const;
      throw this.#error(outcomes[this.weather]);
    }
  }

  #error(outcome: "notSent" | "unknown" | "refused", more = {}) {
    return new HoldfastError("BROKER_UNAVAILABLE", {
      broker: this.label,
      problem: "cut",
      outcome,
      taskIds: [],
      ...more,
    });
  }
}

/** What the breakers for this storage tell until the test is over. */
function breakerEvents({ label }: Storage): string[] {
  const told: string[] = [];
  const listener = (event: unknown) => {
    const { event: kind, broker, state, shard } = event as Record<"event" | "broker" | "state" | "shard", string>;
    if (kind === "breaker" && broker === label) told.push(shard === "" ? state : `${shard}: ${state}`);
  };
  subscribe("holdfast.broker", listener);
  onTestFinished(() => void unsubscribe("holdfast.broker", listener));
  return told;
}

const failure = (call: Promise<unknown>) =>
  call.then(
    () => undefined,
    (error: unknown) => error as HoldfastError<"BROKER_UNAVAILABLE">,
  );
const put = (client: Client, n = 0) => client.enqueue(ping({ n }));
const clientOn = (storage: Producing, options?: ClientOptions) => new Client(storage, { timeout: "300ms", ...options });

async function openBreaker(client: Client, storage: Storage, weather: Weather = "away"): Promise<void> {
  storage.weather = weather;
  await until("the breaker is open", async () => {
    await failure(client.enqueue(ping({ n: 0 }), { timeout: "50ms", whenDown: "fail" }));
    return client.health().storage.some(({ state }) => state === "open" || state === "halfOpen");
  });
}

describe("a client without a spool, while storage is away", () => {
  it("tries again until the timeout, then sends nothing until a ping is answered", async () => {
    const storage = new Storage();
    const client = clientOn(storage);
    await openBreaker(client, storage);
    const calls = storage.calls.length;

    const startedAt = performance.now();
    const error = await failure(client.enqueue(ping({ n: 1 }, { id: "mine" })));

    expect(error).toMatchObject({ code: "BROKER_UNAVAILABLE", data: { outcome: "notSent", taskIds: ["mine"] } });
    expect(performance.now() - startedAt).toBeGreaterThan(250);
    expect(performance.now() - startedAt).toBeLessThan(800);
    expect(storage.calls.length).toBe(calls);
    expect(storage.pings).toBeGreaterThan(0);
  });

  it("brings what waits as soon as storage is back", async () => {
    const storage = new Storage();
    const client = clientOn(storage, { timeout: "20s" });
    await openBreaker(client, storage);
    const events = breakerEvents(storage);

    const receipts = Promise.all([1, 2, 3].map((n) => put(client, n)));
    await until("they wait", () => client.health().waiting === 3);
    storage.weather = "fair";
    const backAt = performance.now();

    expect((await receipts).map(({ status }) => status)).toEqual(["enqueued", "enqueued", "enqueued"]);
    expect(performance.now() - backAt).toBeLessThan(1_000);
    expect(events.at(-1)).toBe("closed");
    expect(client.health()).toEqual({
      storage: [{ broker: storage.label, shard: "", state: "closed", reason: "" }],
      waiting: 0,
    });
  });

  it("lets ten thousand wait, and fails at once what comes after them", async () => {
    const storage = new Storage();
    const client = clientOn(storage, { timeout: "1s" });
    await openBreaker(client, storage);

    const many = failure(client.enqueueAll(Array.from({ length: 10_000 }, (_, n) => ping({ n }))));
    await until("many wait", () => client.health().waiting >= 5_000);
    const others = failure(client.enqueueAll(Array.from({ length: 5_000 }, (_, n) => ping({ n }))));
    await until("ten thousand wait", () => client.health().waiting === 10_000);
    const startedAt = performance.now();
    const error = await failure(put(client));

    expect(error).toMatchObject({ code: "BROKER_UNAVAILABLE", data: { outcome: "notSent" } });
    expect(performance.now() - startedAt).toBeLessThan(200);
    await Promise.all([many, others]);
  });

  it("goes on calling a storage that refuses to write, and is told to be degraded", async () => {
    const storage = new Storage();
    const client = clientOn(storage);
    const events = breakerEvents(storage);
    storage.weather = "refusing";

    expect(await failure(put(client))).toMatchObject({ data: { outcome: "refused" } });

    expect(storage.calls.length).toBeGreaterThan(2);
    expect(client.health().storage[0]).toMatchObject({ state: "degraded", reason: "cut" });
    expect(events).toEqual(["degraded"]);
  });

  it("probes no more once the broker is closed", async () => {
    const storage = new Storage();
    const client = clientOn(storage);
    await openBreaker(client, storage);
    const closed = () => Promise.reject(new HoldfastError("CLOSED", { what: "scripted" }));
    Object.assign(storage, { ping: closed, enqueue: closed });

    await expect(put(client)).rejects.toMatchObject({ code: "CLOSED" });
    expect(client.health().storage[0]!.state).toBe("closed");
  });
});

describe("a client of a storage in parts", () => {
  it("goes on with the others while one is away, and probes that one", async () => {
    const storage = new Storage({ parts: true });
    const client = clientOn(storage);
    const events = breakerEvents(storage);
    storage.away.add("b");
    for (let n = 0; n < 3; n++) await failure(client.enqueue(ping({ n }, { queue: "b" }), { timeout: "20ms" }));
    await until("the breaker of b is open", async () => {
      await failure(client.enqueue(ping({ n: 0 }, { queue: "b" }), { timeout: "50ms" }));
      return events.includes("node of b: open");
    });

    const [a, b] = await Promise.allSettled([
      client.enqueue(ping({ n: 1 }, { queue: "a" })),
      client.enqueue(ping({ n: 2 }, { queue: "b" })),
    ]);
    expect([a.status, b.status]).toEqual(["fulfilled", "rejected"]);

    storage.away.clear();
    await client.enqueue(ping({ n: 3 }, { queue: "b" }));
    expect(events.filter((one) => one.startsWith("node of a"))).toEqual([]);
    expect(client.health().storage.map(({ shard, state }) => [shard, state])).toEqual([
      ["node of b", "closed"],
      ["node of a", "closed"],
    ]);
  });

  it("says of a list of which some are in that the outcome is unknown, and names them all", async () => {
    const storage = new Storage({ parts: true });
    const client = clientOn(storage);
    storage.away.add("b");

    const error = await failure(
      client.enqueueAll([ping({ n: 1 }, { queue: "a", id: "1" }), ping({ n: 2 }, { queue: "b", id: "2" })]),
    );

    expect(error).toMatchObject({
      code: "BROKER_UNAVAILABLE",
      data: { outcome: "unknown", taskIds: ["1", "2"] },
    });
  });
});

describe("a client with a spool", () => {
  it("spools at once what storage does not take, under the same id, as a repeat only if it may have it", async () => {
    for (const weather of ["away", "refusing", "unknown"] as const) {
      const spool = new MemorySpool();
      const storage = new Storage({ spool });
      storage.weather = weather;
      const startedAt = performance.now();

      const receipt = await put(clientOn(storage, { timeout: "5s" }));

      expect(receipt.status).toBe("spooled");
      expect(spool.tasks.map(({ message, repeat }) => [message.id, repeat])).toEqual([
        [receipt.id, weather === "unknown"],
      ]);
      expect(storage.calls.length).toBe(1);
      expect(performance.now() - startedAt).toBeLessThan(500);
    }
  });

  it("does not even try while the breaker is not closed", async () => {
    const spool = new MemorySpool();
    const storage = new Storage({ spool });
    const client = clientOn(storage);
    await openBreaker(client, storage);
    const calls = storage.calls.length;

    const receipts = await Promise.all([put(client), put(client)]);

    expect(receipts.map(({ status }) => status)).toEqual(["spooled", "spooled"]);
    expect(storage.calls.length).toBe(calls);
    expect(client.counters()).toMatchObject({ spooled: 2, enqueued: 0 });
  });

  it("puts a queue's new tasks behind those of it that wait, and other queues' to storage", async () => {
    const spool = new MemorySpool();
    const storage = new Storage({ spool });
    const client = clientOn(storage);
    storage.weather = "away";
    await put(client, 1);
    storage.weather = "fair";

    const [behind, other] = await Promise.all([put(client, 2), client.enqueue(ping({ n: 3 }, { queue: "other" }))]);
    await spool.deliver(storage);
    const after = await put(client, 4);

    expect([behind.status, other.status, after.status]).toEqual(["spooled", "enqueued", "enqueued"]);
    const order = storage.calls.flat().filter(({ message }) => message.queue === "default");
    expect(order.map(({ message }) => JSON.parse(Buffer.from(message.payload).toString()).n)).toEqual([1, 1, 2, 4]);
  });

  it("tells the spool when storage is back", async () => {
    const spool = new MemorySpool();
    const storage = new Storage({ spool });
    await openBreaker(clientOn(storage), storage);
    storage.weather = "fair";

    expect(await until("it is nudged", () => spool.nudges)).toBe(1);
  });

  it("accepts here first and calls no storage, when that is asked for", async () => {
    const spool = new MemorySpool();
    const storage = new Storage({ spool });

    const receipt = await clientOn(storage).enqueue(ping({ n: 1 }), { accept: "spool" });

    expect([receipt.status, storage.calls.length]).toEqual(["spooled", 0]);
  });

  it("waits for storage all the same when a call says so", async () => {
    const storage = new Storage({ spool: new MemorySpool() });
    storage.weather = "away";

    const error = await failure(clientOn(storage).enqueue(ping({ n: 1 }), { whenDown: "fail", timeout: "50ms" }));

    expect(error).toMatchObject({ code: "BROKER_UNAVAILABLE" });
    expect(storage.spool!.tasks).toEqual([]);
  });

  it("takes its spool's answer that has come while the event loop was blocked for longer than the call may take", async () => {
    const spool = new MemorySpool();
    const accept = spool.accept.bind(spool);
    spool.accept = async (tasks) => {
      const answered = new Promise((resolve) => setImmediate(resolve));
      for (const endMs = performance.now() + 50; performance.now() < endMs;);
      await answered;
      return accept(tasks);
    };
    const client = clientOn(new Storage({ spool }));

    // After an immediate come timers, and only then the next immediates.
    await new Promise((resolve) => setImmediate(resolve));
    const [receipt] = await client.enqueueAll([ping({ n: 1 })], { accept: "spool", timeout: "10ms" });

    expect(receipt!.status).toBe("spooled");
  });

  it("fails in time with an unknown outcome when the spool does not answer, its disk hanging, say", async () => {
    const spool = new MemorySpool();
    spool.accept = () => new Promise(() => {});
    const storage = new Storage({ spool });
    const client = clientOn(storage, { timeout: "100ms" });

    const late = { code: "BROKER_UNAVAILABLE", data: { outcome: "unknown", taskIds: ["slow"] } };
    await expect(client.enqueue(ping({ n: 1 }, { id: "slow" }), { accept: "spool" })).rejects.toMatchObject(late);
    storage.weather = "away";
    await expect(client.enqueue(ping({ n: 1 }, { id: "slow" }))).rejects.toMatchObject(late);
  });

  it("says that the spool is full when nothing has the task, and that the outcome is unknown when storage may", async () => {
    const storage = new Storage({ spool: new MemorySpool(0) });
    const client = clientOn(storage);
    storage.weather = "away";
    expect(await failure(put(client))).toMatchObject({ code: "SPOOL_FULL" });

    storage.weather = "unknown";
    expect(await failure(put(client))).toMatchObject({
      code: "BROKER_UNAVAILABLE",
      data: { outcome: "unknown" },
      cause: { code: "SPOOL_FULL" },
    });
    expect(client.counters().failed).toBe(2);
  });

  it("does not say of a list that nothing was accepted where storage has some of it and the spool is full", async () => {
    const storage = new Storage({ spool: new MemorySpool(0), parts: true });
    storage.away.add("b");

    const error = await failure(
      clientOn(storage).enqueueAll([ping({ n: 1 }, { queue: "a", id: "1" }), ping({ n: 2 }, { queue: "b", id: "2" })]),
    );

    expect(error).toMatchObject({
      code: "BROKER_UNAVAILABLE",
      data: { outcome: "unknown", taskIds: ["1", "2"] },
      cause: { code: "SPOOL_FULL" },
    });
  });
});

describe("what a task is accepted by", () => {
  it("is asked of storage: all replicas, at least one; fsynced, with replicas only where they are named", async () => {
    const storage = new Storage();
    const client = clientOn(storage, { accept: "replicas" });

    await put(client);
    await client.enqueue(ping({ n: 1 }), { accept: "fsync" });
    await client.enqueue(ping({ n: 1 }), { accept: "fsync", replicas: 1 });
    await client.enqueue(ping({ n: 1 }), { accept: "redis" });

    expect(storage.assurances).toEqual([
      { of: "replicas", replicas: 1 },
      { of: "fsync", replicas: 0 },
      { of: "fsync", replicas: 1 },
    ]);
  });

  it("may take half of the timeout where there is a spool, which has the other half", async () => {
    const storage = new Storage({ spool: new MemorySpool() });
    const client = clientOn(storage, { timeout: "5s" });

    await put(client);
    await client.enqueue(ping({ n: 1 }), { timeout: "600ms" });
    await client.enqueue(ping({ n: 1 }), { accept: "fsync" });

    const [usual, hasty, fsync] = storage.within;
    expect([usual, Math.ceil(hasty! / 100), Math.ceil(fsync! / 500)]).toEqual([501, 3, 5]);
  });

  it("says how many have confirmed when those are too few; that opens no breaker for what needs none", async () => {
    const storage = new Storage();
    const client = clientOn(storage, { timeout: "100ms" });
    for (let n = 0; n < 5; n++) {
      const error = await failure(client.enqueue(ping({ n }), { accept: "replicas", replicas: 2 }));
      expect(error).toMatchObject({ data: { outcome: "unknown", acknowledged: { replicas: 1, wanted: 2 } } });
    }

    expect((await put(client)).status).toBe("enqueued");
    expect(client.health().storage[0]!.state).not.toBe("open");
  });

  it.each([
    [{ accept: "spool" }, "accept"],
    [{ whenDown: "spool" }, "whenDown"],
    [{ accept: "disk" }, "accept"],
    [{ replicas: -1 }, "replicas"],
    [{ timeout: "1ms" }, "timeout"],
    [{ maxPayloadBytes: 5 }, "maxPayloadBytes"],
  ])("%j is refused where it cannot be, or is no such thing", async (options, option) => {
    const storage = new Storage();

    await expect(new Client(storage).enqueue(ping({ n: 1 }), options as never)).rejects.toMatchObject({
      code: "OPTION_INVALID",
      data: { option: `enqueue.${option}` },
    });
    expect(storage.calls).toEqual([]);
  });

  it("must be possible: a broker that confirms nothing takes no such client", () => {
    const storage: Producing = { ...new Storage(), enqueue: async () => [], ping: async () => {} };

    expect(() => new Client(storage, { accept: "fsync" })).toThrow(
      expect.objectContaining({ code: "OPTION_INVALID", data: expect.objectContaining({ option: "Client.accept" }) }),
    );
  });
});
