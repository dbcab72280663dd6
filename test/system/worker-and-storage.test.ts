import { subscribe as subscribeTo, unsubscribe as unsubscribeFrom } from "node:diagnostics_channel";
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
import type { EffectStep } from "../../src/broker/effects.js";
import { systemClock } from "../../src/core/clock.js";
import { silent } from "../../src/core/log.js";
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
  readonly #answer: (turn: Turn, number: number) => Partial<TurnReply> | Promise<Partial<TurnReply>>;

  constructor(answer: (turn: Turn, number: number) => Partial<TurnReply> | Promise<Partial<TurnReply>>) {
    this.#answer = answer;
  }

  async exchange(turn: Turn): Promise<TurnReply> {
    this.turns.push(turn);
    const settled = turn.settle.map(() => "settled" as const);
    return { settled, leased: [], more: false, dry: [], paused: [], ...(await this.#answer(turn, this.turns.length)) };
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
  queues = async () => [];
  reclaim = async () => [];
  promote = async () => ({ moved: 0, nextDueMs: undefined });
  prune = async () => 0;
  enqueue = async (): Promise<EnqueueReceipt[]> => [];
  announce = async () => ({ shared: [] });
  withdraw = async () => {};
  report = async () => {};
  remember = async () => [];
  /** What `subscribe` throws, as long as there is something. */
  deaf: Error | undefined;
  listening = false;
  subscribe = async () => {
    if (this.deaf !== undefined) throw this.deaf;
    this.listening = true;
    return { listening: true, watch: () => {}, [Symbol.asyncDispose]: async () => {} };
  };
  cancellations = async () => [];

  /** All outcomes so far, by token. */
  get outcomes(): Record<string, string> {
    const settled = this.turns.flatMap(({ settle }) => settle);
    return Object.fromEntries(settled.map(({ task, outcome }) => [task.lease.token, outcome.kind]));
  }
}

const unavailable = (outcome: "unknown" | "notSent") =>
  new HoldfastError("BROKER_UNAVAILABLE", { broker: "scripted", problem: "cut", outcome, taskIds: [] });
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
  const worker = new Worker(broker, { concurrency, pollInterval: "20ms", abortGrace: "50ms", log: silent });
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
  const worker = new Worker(broker, { pollInterval: "60s", log: silent });
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
  const worker = new Worker(broker, { log: silent });

  await worker.drain();

  expect(broker.turns.length).toBe(1);
});

it("drain says so when storage refuses to lease", async () => {
  const broker = new ScriptedBroker(() => {
    throw new HoldfastError("BROKER_FAILED", { broker: "scripted", problem: "a key is in the way" });
  });

  await expect(new Worker(broker, { log: silent }).drain()).rejects.toMatchObject({ code: "BROKER_FAILED" });
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
  const worker = new Worker(broker, { log: silent });
  await worker.start();
  const startedAt = performance.now();

  await worker.stop();

  expect(performance.now() - startedAt).toBeLessThan(4_000);
});

it("what ended while storage was away is settled before anything is leased", async () => {
  let away = false;
  const broker = new ScriptedBroker((_turn, number) => {
    if (away) throw unavailable("unknown");
    return { leased: number === 1 ? ["a", "b", "c"].map((id) => task(id, id)) : [] };
  });
  const ends: (() => void)[] = [];
  const worker = await start(broker, () => new Promise<void>((resolve) => ends.push(resolve)));
  await until("all run", () => ends.length === 3);
  away = true;
  ends[0]!();
  await until("its outcome does not get through", () => worker.health().state === "storage-down");
  expect(worker.health()).toMatchObject({ running: 2, unsettled: 1, problem: "cut" });
  ends[1]!();
  ends[2]!();
  await until("all have ended", () => worker.health().unsettled === 3);

  const tries = broker.turns.length;
  away = false;
  await until("all are settled", () => worker.counters().completed === 3);
  const [first, second] = broker.turns.slice(tries);
  await worker.stop();

  expect(first!.settle.map((settlement) => settlement.task.lease.id)).toEqual(["a", "b", "c"]);
  expect(first!.lease).toBeUndefined();
  expect(second).toMatchObject({ settle: [], lease: { limit: expect.any(Number) } });
  expect(worker.counters()).toMatchObject({ completed: 3, leaseLost: 0 });
});

it("of what may have been carried out only that counts as done when the lease is lost", async () => {
  let away = false;
  const broker = new ScriptedBroker((turn, number) => {
    if (away) throw unavailable("unknown");
    const settled = turn.settle.map(() => "leaseLost" as const);
    return { settled, leased: number === 1 ? ["a", "b"].map((id) => task(id, id)) : [] };
  });
  const told: unknown[] = [];
  const listen = (event: unknown) => void told.push(event);
  subscribeTo("holdfast.task", listen);
  const ends: (() => void)[] = [];
  const worker = await start(broker, () => new Promise<void>((resolve) => ends.push(resolve)), 2);
  await until("both run", () => ends.length === 2);
  away = true;
  ends[0]!();
  await until("its outcome does not get through", () => worker.health().state === "storage-down");
  away = false;
  ends[1]!();
  await until("both are settled", () => worker.health().unsettled === 0);
  await worker.stop();
  unsubscribeFrom("holdfast.task", listen);

  expect(worker.counters()).toMatchObject({ completed: 1, leaseLost: 1 });
  const settled = told.filter((event) => (event as { event: string }).event === "settled");
  expect(settled).toMatchObject([
    { id: "a", receipt: "presumed" },
    { id: "b", receipt: "leaseLost" },
  ]);
});

it("a turn that neither ends nor fails is given up, told, and sent again as the same request", async () => {
  const events: unknown[] = [];
  const listener = (event: unknown) => void events.push(event);
  subscribeTo("holdfast.broker", listener);
  const broker = new ScriptedBroker((_turn, number) => (number === 1 ? new Promise(() => {}) : {}));
  const worker = new Worker(broker, { pollInterval: "20ms", stuckAfter: "1s", log: silent });
  await worker.start();
  await until("it is given up", () => worker.health().state === "stuck");
  await until("it works again", () => worker.health().state === "running");
  await worker.stop();
  unsubscribeFrom("holdfast.broker", listener);

  expect(events).toContainEqual({ event: "stuck", broker: "scripted", what: "a turn with storage", afterMs: 1_000 });
  expect(broker.turns[1]!.lease!.requestId).toBe(broker.turns[0]!.lease!.requestId);
});

it("what waits for its turn for longer than storage was away is given back, not started", async () => {
  let away = false;
  const broker = new ScriptedBroker((_turn, number) => {
    if (away) throw unavailable("notSent");
    return { leased: number === 1 ? [task("a", "a"), task("b", "b")] : [] };
  });
  broker.promote = async () => {
    if (away) throw unavailable("notSent");
    return { moved: 0, nextDueMs: undefined };
  };
  for (const call of ["ping", "prune", "reclaim", "announce"] as const)
    Object.assign(broker, { [call]: broker.promote });
  const started: string[] = [];
  let end = () => {};
  const worker = new Worker(broker, { leaseDuration: "5s", pollInterval: "20ms", log: silent });
  const handler = (_payload: unknown, context: { id: string }) => {
    started.push(context.id);
    return new Promise<void>((resolve) => (end = resolve));
  };
  await worker.handle(ping, handler, { concurrency: 1 }).start();
  await until("the first runs", () => started.length === 1);
  away = true;
  const awayAtMs = performance.now();
  await until("leases have run out", () => performance.now() - awayAtMs > 6_200, 8_000);
  end();
  away = false;
  await until("both are settled", () => Object.keys(broker.outcomes).length === 2);
  await worker.stop();

  expect(broker.outcomes).toEqual({ a: "completed", b: "released" });
  expect(started).toEqual(["a"]);
}, 15_000);

it("what a reply leases that is read when that lease has run out is given back, and the others run", async () => {
  const over = { queue: "default", id: "late", token: "late", untilMs: Date.now() - 1 };
  const broker = new ScriptedBroker((_turn, number) => ({
    leased: number === 1 ? [task("late", "late", { lease: over }), task("b", "b")] : [],
  }));
  let ran = 0;
  const worker = await start(broker, () => void (ran += 1));
  await until("both are settled", () => Object.keys(broker.outcomes).length === 2);
  await worker.stop();

  expect(broker.outcomes).toEqual({ late: "released", b: "completed" });
  expect(ran).toBe(1);
  expect(broker.held.map(({ lease }) => lease.token)).toEqual(["b"]);
});

it("storage does not come and go when one kind of call fails and the work goes on, and that is said once", async () => {
  const said: string[] = [];
  const broker = new ScriptedBroker(() => ({}));
  let tries = 0;
  broker.promote = async () => {
    tries += 1;
    throw unavailable("notSent");
  };
  const log = { ...silent, warn: (_: unknown, sentence: string) => void said.push(sentence) };
  const worker = new Worker(broker, { pollInterval: "20ms", log }).handle(ping, () => {});
  await worker.start();
  await until("it was tried some times", () => tries === 5, 10_000);
  const { state } = worker.health();
  await worker.stop();

  expect([state, said]).toEqual(["running", ["storage does not take this call, and others it does"]]);
}, 15_000);

it("effects of one task that cannot be noted are no trouble of the others'", async () => {
  const broker = new ScriptedBroker((_turn, number) => ({
    leased: number === 1 ? ["bad", "good"].map((id) => task(id, id)) : [],
  }));
  const asked: string[][] = [];
  Object.assign(broker, {
    remember: async (steps: readonly EffectStep[]) => {
      asked.push(steps.map(({ lease }) => lease.id));
      if (steps.some(({ lease }) => lease.id === "bad"))
        throw new HoldfastError("BROKER_FAILED", { broker: "scripted", problem: "a key is in the way" });
      return steps.map(({ act }) =>
        act.kind === "done" ? { status: "done", result: act.result } : { status: "begun" },
      );
    },
  });
  const worker = new Worker(broker, { pollInterval: "20ms", log: silent });
  await worker.handle(ping, async (_payload, context) => void (await context.once("effect", () => 1))).start();
  await until("both are settled", () => Object.keys(broker.outcomes).length === 2);
  await worker.stop();

  expect(asked[0]).toEqual(["bad", "good"]);
  expect(broker.outcomes).toEqual({ bad: "retry", good: "completed" });
});

it("more than 500 that are given back at once go in one turn, in order", async () => {
  const ids = Array.from({ length: 700 }, (_, n) => `t${n}`);
  const alone = task("alone", "alone", { crashes: maxCrashes - 1 });
  const broker = new ScriptedBroker((_turn, number) => ({
    leased: number === 1 ? [alone, ...ids.map((id) => task(id, id))] : [],
  }));
  const worker = await start(broker, () => {});
  await until("all are settled", () => Object.keys(broker.outcomes).length === 701);
  await worker.stop();

  const back = broker.turns.filter(({ settle }) => settle.some(({ outcome }) => outcome.kind === "released"));
  expect(back).toHaveLength(1);
  const released = back[0]!.settle.filter(({ outcome }) => outcome.kind === "released");
  expect(released.map((settlement) => settlement.task.lease.id)).toEqual(ids);
});

it("a turn that was refused is taken again after pollInterval, though signals tell of tasks", async () => {
  const broker = new ScriptedBroker((_turn, number) => {
    if (number === 1) throw new HoldfastError("BROKER_FAILED", { broker: "scripted", problem: "a key is in the way" });
    return {};
  });
  const worker = new Worker(broker, { pollInterval: "500ms", log: silent });
  await worker.start();
  const startedAtMs = performance.now();
  await until("it has looked again", () => broker.turns.length > 1);
  await worker.stop();

  expect(performance.now() - startedAtMs).toBeLessThan(1_500);
});

it("works without signals when storage fails as it subscribes, and subscribes later", async () => {
  const broker = new ScriptedBroker((_turn, number) => ({ leased: number === 1 ? [task("a", "a")] : [] }));
  broker.deaf = unavailable("notSent");
  const worker = await start(broker, () => {});
  await until("it works", () => worker.counters().completed === 1);
  expect(broker.listening).toBe(false);
  broker.deaf = undefined;
  await until("it listens", () => broker.listening);
  await worker.stop();
});

it("takes no broker that is none, and says what it takes", () => {
  for (const given of ["redis://localhost", undefined, Promise.resolve()]) {
    expect(() => new Worker(given as never)).toThrow(expect.objectContaining({ code: "OPTION_INVALID" }));
  }
});
