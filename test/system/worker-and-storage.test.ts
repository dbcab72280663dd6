import { expect, it } from "vitest";
import {
  type EnqueueReceipt,
  type HeldLease,
  type KeeperOptions,
  type LeasedTask,
  maxCrashes,
  type Turn,
  type TurnReply,
} from "../../src/broker/broker.js";
import { systemClock } from "../../src/core/clock.js";
import { defineTask, HoldfastError, Worker, type WorkerBroker } from "../../src/index.js";
import { message } from "../support/builders.js";
import { until } from "../support/until.js";

/**
 * Storage that answers as the test says, turn by turn: for what real storage does too rarely to wait for. What it is
 * told stays there to be looked at.
 */
class ScriptedBroker implements WorkerBroker {
  readonly label = "scripted";
  readonly clock = systemClock;
  readonly turns: Turn[] = [];
  readonly held: HeldLease[] = [];
  readonly dropped: string[] = [];
  lost: KeeperOptions["onLost"] = () => {};
  readonly #answer: (turn: Turn, number: number) => Partial<TurnReply>;

  constructor(answer: (turn: Turn, number: number) => Partial<TurnReply>) {
    this.#answer = answer;
  }

  async exchange(turn: Turn): Promise<TurnReply> {
    this.turns.push(turn);
    const settled = turn.settle.map(() => "settled" as const);
    return { settled, leased: [], more: false, dry: [], paused: [], ...this.#answer(turn, this.turns.length) };
  }
  keeper({ onLost }: KeeperOptions) {
    this.lost = onLost;
    return {
      hold: (leases: readonly HeldLease[]) => void this.held.push(...leases),
      drop: (leases: readonly { token: string }[]) => void this.dropped.push(...leases.map(({ token }) => token)),
      close: async () => {},
    };
  }
  ping = async () => {};
  reclaim = async () => [];
  promote = async () => ({ moved: 0, nextDueMs: undefined });
  prune = async () => 0;
  enqueue = async (): Promise<EnqueueReceipt[]> => [];
  announce = async () => ({ shared: [] });
  withdraw = async () => {};
  report = async () => {};
  subscribe = async () => ({ listening: false, watch: () => {}, [Symbol.asyncDispose]: async () => {} });
  cancellations = async () => [];

  /** All outcomes so far, by token. */
  get outcomes(): Record<string, string> {
    const settled = this.turns.flatMap(({ settle }) => settle);
    return Object.fromEntries(settled.map(({ task, outcome }) => [task.lease.token, outcome.kind]));
  }
}

const quiet = { debug() {}, info() {}, warn() {}, error() {} };
const ping = defineTask("ping");
const task = (id: string, token: string, fields: Partial<LeasedTask> = {}): LeasedTask => ({
  message: message({ id, type: "ping", timeoutMs: 60_000 }),
  lease: { queue: "default", id, token, untilMs: Date.now() + 30_000 },
  crashes: 0,
  returns: 0,
  atMostOnce: false,
  ...fields,
});
const start = async (broker: ScriptedBroker, handler: () => Promise<void> | void, concurrency = 10) => {
  const worker = new Worker(broker, { concurrency, pollInterval: "20ms", abortGrace: "50ms", log: quiet });
  await worker.handle(ping, handler).start();
  return worker;
};

it("a lost lease aborts its own run of a task, not a later one, and nothing stays held", async () => {
  const broker = new ScriptedBroker((_turn, number) => ({
    leased: number === 1 ? [task("a", "first")] : number === 2 ? [task("a", "second")] : [],
  }));
  const ends: (() => void)[] = [];
  const worker = await start(broker, () => new Promise<void>((resolve) => ends.push(resolve)));
  await until("it runs twice", () => ends.length === 2);

  broker.lost([{ queue: "default", id: "a", token: "first" }]);
  for (const end of ends) end();
  await until("the second run is settled", () => "second" in broker.outcomes);
  await worker.stop();

  expect(broker.outcomes).toEqual({ second: "completed" });
  expect(broker.dropped).toContain("first");
});

it("one crash before quarantine a task runs with nothing beside it", async () => {
  const last = { crashes: maxCrashes - 1 };
  const broker = new ScriptedBroker((_turn, number) => ({
    leased: number === 1 ? [task("alone", "alone", last), task("b", "b"), task("c", "c")] : [],
  }));
  let started = 0;
  let end = () => {};
  const worker = await start(broker, () => {
    started += 1;
    return new Promise<void>((resolve) => (end = resolve));
  });
  await until("the others were given back", () => "c" in broker.outcomes);

  expect(started).toBe(1);
  expect(broker.outcomes).toEqual({ b: "released", c: "released" });
  end();
  await worker.stop();
});

it("a task that waits to be alone is held as long as it waits, and by its own limit once it runs", async () => {
  const broker = new ScriptedBroker((_turn, number) => ({
    leased: number === 1 ? [task("b", "b"), task("alone", "alone", { crashes: maxCrashes - 1 })] : [],
  }));
  const ends: (() => void)[] = [];
  const worker = await start(broker, () => new Promise<void>((resolve) => ends.push(resolve)));
  await until("the first runs", () => ends.length === 1);
  const limits = () => broker.held.filter(({ lease }) => lease.token === "alone").map((held) => held.renewUntilMs);

  expect(limits().at(-1)).toBeGreaterThan(Date.now() + 3_600_000);
  ends[0]!();
  await until("it runs alone", () => ends.length === 2);
  expect(limits().at(-1)).toBeLessThan(Date.now() + 70_000);
  ends[1]!();
  await worker.stop();
});

it("what a blocking handler kept from starting for a second goes back", async () => {
  const broker = new ScriptedBroker((_turn, number) => ({
    leased: number === 1 ? ["a", "b", "c", "d"].map((id) => task(id, id)) : [],
  }));
  const worker = await start(broker, () => {
    const endMs = performance.now() + 600;
    while (performance.now() < endMs);
  });
  await until("all are settled", () => Object.keys(broker.outcomes).length === 4);
  await worker.stop();

  expect(broker.outcomes).toEqual({ a: "completed", b: "completed", c: "released", d: "released" });
});

it("a message with neither timeout nor deadline has asynq's default timeout", async () => {
  const unlimited = { message: message({ id: "a", type: "ping", timeoutMs: 0, deadlineMs: 0 }) };
  const broker = new ScriptedBroker((_turn, number) => ({ leased: number === 1 ? [task("a", "a", unlimited)] : [] }));
  const worker = await start(broker, () => {});
  await until("it is settled", () => "a" in broker.outcomes);
  await worker.stop();

  const [held] = broker.held;
  expect(held!.renewUntilMs - Date.now()).toBeGreaterThan(1_790_000);
  expect(held!.renewUntilMs - Date.now()).toBeLessThan(1_810_000);
});

it("looks again at once when a reply says that there is more", async () => {
  const broker = new ScriptedBroker((_turn, number) => (number < 5 ? { more: true } : {}));
  const worker = new Worker(broker, { pollInterval: "60s", log: quiet });
  await worker.start();

  await until("it has looked five times", () => broker.turns.length === 5);
  await worker.stop();

  expect(broker.turns.length).toBe(5);
});

it("a queue in trouble does not keep settlements of others, nor one settlement its neighbours", async () => {
  const broker = new ScriptedBroker((turn, number) => {
    if (number === 1) return { leased: ["a", "bad", "c"].map((id) => task(id, id)) };
    if (turn.settle.some(({ task: { lease } }) => lease.id === "bad")) {
      throw new HoldfastError("BROKER_FAILED", { broker: "scripted", problem: "a key is in the way" });
    }
    return {};
  });
  const worker = await start(broker, () => {}, 3);
  const alone = (id: string) =>
    broker.turns.some(({ settle }) => settle.length === 1 && settle[0]!.task.lease.id === id);

  await until("each has been tried by itself", () => alone("a") && alone("bad") && alone("c"), 10_000);
  await until("two are settled", () => worker.counters().completed === 2, 10_000);
  await worker.stop({ timeout: "0s" });

  expect(worker.counters()).toMatchObject({ completed: 2, leaseLost: 0 });
}, 20_000);

it("ends when its broker is closed, instead of asking for ever", async () => {
  const broker = new ScriptedBroker(() => {
    throw new HoldfastError("CLOSED", { what: "scripted" });
  });
  const worker = new Worker(broker, { log: quiet });

  await worker.drain();

  expect(broker.turns.length).toBe(1);
});

it("drain says so when storage refuses to lease", async () => {
  const broker = new ScriptedBroker(() => {
    throw new HoldfastError("BROKER_FAILED", { broker: "scripted", problem: "a key is in the way" });
  });

  await expect(new Worker(broker, { log: quiet }).drain()).rejects.toMatchObject({ code: "BROKER_FAILED" });
});

it("an idle worker stops soon while storage is away", async () => {
  const broker = new ScriptedBroker(() => {
    throw new HoldfastError("BROKER_UNAVAILABLE", {
      broker: "scripted",
      problem: "cut",
      outcome: "notSent",
      taskIds: [],
    });
  });
  const worker = new Worker(broker, { log: quiet });
  await worker.start();
  const startedAt = performance.now();

  await worker.stop();

  expect(performance.now() - startedAt).toBeLessThan(4_000);
});

it("takes no broker that is none, and says what it takes", () => {
  for (const given of ["redis://localhost", undefined, Promise.resolve()]) {
    expect(() => new Worker(given as never)).toThrow(expect.objectContaining({ code: "OPTION_INVALID" }));
  }
});
