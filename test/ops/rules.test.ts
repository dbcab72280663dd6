import { describe, expect, it } from "vitest";
import { silent } from "../../src/core/log.js";
import { DeadLetters } from "../../src/deadletter/index.js";
import { AlertBook } from "../../src/ops/alerts/book.js";
import { MemoryDocuments } from "../../src/ops/alerts/memory-documents.js";
import type { RuleName } from "../../src/ops/alerts/rule.js";
import { settingsFor } from "../../src/ops/alerts/rule-settings.js";
import { resolveMonitorConfig } from "../../src/ops/monitor-config.js";
import { Poll } from "../../src/ops/poll.js";
import { Trail } from "../../src/ops/trail.js";
import { type Broker, connect, Inspector } from "../../src/index.js";
import { newTask, settled } from "../support/builders.js";

const minute = 60_000;
const hour = 60 * minute;
const queue = "mail";
const by = { actor: "ann", reason: "a test" };

/** A storage and a monitor's looks at it, by a clock that is set by hand: rules are as they are shipped. */
class Watch implements AsyncDisposable {
  nowMs = Date.now();
  /** What the server says that it has deleted, and which run of it that is. */
  server = { evicted_keys: "7", run_id: "one", uptime_in_seconds: "9000000" };
  readonly broker: Broker;
  readonly letters: DeadLetters;
  readonly inspector: Inspector;
  readonly #real = connect("memory:");
  readonly #config = resolveMonitorConfig({});
  readonly #trail = new Trail(hour);
  readonly #book = new AlertBook(new MemoryDocuments(), this.#config, silent);
  #enqueued = 0;
  #asked = 0;

  constructor() {
    const clock = { nowMs: () => this.nowMs };
    const bound = (name: string | symbol) => {
      const value: unknown = Reflect.get(this.#real, name);
      return typeof value === "function" ? value.bind(this.#real) : value;
    };
    const storage = async () => ({ kind: "redis", nodes: [{ label: "redis://db:6379", fields: this.server }] });
    const own: Partial<Record<string | symbol, unknown>> = { clock, storage };
    this.broker = new Proxy(this.#real, { get: (_, name) => own[name] ?? bound(name) });
    this.letters = new DeadLetters(this.broker, { actor: "ann" });
    this.inspector = new Inspector(this.broker, { actor: "ann" });
  }

  /** What fires by a look that is made now. */
  async look(): Promise<RuleName[]> {
    const facts = await new Poll(this.broker, 0).look();
    this.#trail.add(facts);
    const settingsOf = settingsFor.bind(undefined, this.#config);
    await this.#book.evaluate({ facts, trail: this.#trail, settingsOf, failing: {}, undelivered: {} });
    return (await this.#book.read()).flatMap(({ alert }) => (alert.firing === undefined ? [] : [alert.rule]));
  }

  /** So long, with some looks; what goes on goes on each minute, before a look. */
  async pass(ms: number, meanwhile?: Act): Promise<RuleName[]> {
    const looks = meanwhile === undefined ? 4 : ms / minute;
    let firing: RuleName[] = [];
    for (let n = 0; n < looks; n += 1) {
      this.nowMs += ms / looks;
      await meanwhile?.(this);
      firing = await this.look();
    }
    return firing;
  }

  async enqueue(count: number, processAtMs = 0): Promise<string[]> {
    const ids = Array.from({ length: count }, () => `t${(this.#enqueued += 1)}`);
    await this.broker.enqueue(
      ids.map((id) => newTask({ id, queue, type: "mail:send" }, { processAtMs })),
      this.nowMs,
    );
    return ids;
  }

  async lease(limit: number) {
    const how = {
      workerId: "w",
      requestId: `r${(this.#asked += 1)}`,
      queues: [queue],
      limit,
      leaseMs: 30_000,
      suspects: 1,
    };
    return (await this.broker.exchange({ settle: [], lease: how }, this.nowMs)).leased;
  }

  /** So many that end well, and so many that are dead. */
  async settle(good: number, dead: number): Promise<void> {
    await this.enqueue(good + dead);
    const tasks = await this.lease(good + dead);
    const settle = tasks.map((task, n) => (n < good ? settled.completed(task) : settled.archived(task)));
    await this.broker.exchange({ settle }, this.nowMs);
  }

  async cause(): Promise<string> {
    return (await this.letters.groups()).groups[0]!.fingerprint;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#real.close();
  }
}

type Act = (watch: Watch) => Promise<unknown>;

/** How each comes to fire, and what ends it. */
interface Case {
  readonly rule: RuleName;
  readonly because: string;
  /** What comes before, and what goes on from then on before each look. */
  readonly begin?: Act;
  readonly meanwhile?: Act;
  /** For so long it does not fire. */
  readonly quietMs: number;
  /** What is the cause, where it is not that it goes on. */
  readonly trigger?: Act;
  /** So much later it fires. */
  readonly thenMs: number;
  readonly end?: Act;
  /** Then its end has held for long enough; 0: it is told at once. */
  readonly overMs: number;
}

const applyPolicy: Act = async ({ letters }) => {
  await using keeper = letters.growthKeeper();
  while ((await keeper.step()).more);
};
const everyMinute =
  (good: number, dead: number): Act =>
  async (watch) =>
    watch.settle(good, dead);

/** All that there are. */
const acknowledgeAll: Act = async ({ letters }) => {
  const ids = Array.from({ length: 300 }, (_, n) => `t${n + 1}`);
  await letters.acknowledgeTasks({ queue, ids }, { reason: "INC-42" });
};

const cases: readonly Case[] = [
  {
    rule: "DlqSizeHigh",
    because: "there are more dead letters that nobody has acknowledged than it allows",
    // Somebody looks after the first ones already.
    begin: async (watch) => {
      await watch.settle(0, 100);
      await acknowledgeAll(watch);
    },
    meanwhile: everyMinute(0, 10),
    quietMs: 10 * minute,
    thenMs: 7 * minute,
    end: acknowledgeAll,
    overMs: 7 * minute,
  },
  {
    rule: "DlqOldestAge",
    because: "nobody has dealt with the oldest dead letter for a day",
    begin: everyMinute(0, 1),
    quietMs: 24 * hour,
    thenMs: 12 * minute,
    end: async ({ letters }) => letters.acknowledgeTasks({ queue, ids: ["t2"] }, { reason: "refunded by hand" }),
    overMs: 7 * minute,
  },
  {
    rule: "DlqOverflowSoon",
    because: "at the present rate the bound is met within six hours",
    begin: async ({ letters }) => letters.setPolicy({ queue, keepMost: 100, overflow: "refuse" }, by),
    meanwhile: everyMinute(0, 1),
    quietMs: 12 * minute,
    thenMs: 5 * minute,
    end: async ({ letters }) => letters.setPolicy({ queue, keepMost: 100_000, overflow: "refuse" }, by),
    overMs: 7 * minute,
  },
  {
    rule: "DlqDataLost",
    because: "a policy dropped what there was no room for",
    begin: async (watch) => {
      await watch.letters.setPolicy({ queue, keepMost: 5, overflow: "drop" }, by);
      await watch.settle(0, 6);
    },
    quietMs: 10 * minute,
    thenMs: minute,
    trigger: applyPolicy,
    overMs: 12 * minute,
  },
  {
    rule: "GroupRegressed",
    because: "a cause that was resolved is seen again",
    begin: async (watch) => {
      await watch.settle(0, 1);
      await watch.letters.resolveGroup(await watch.cause(), { cause: "a certificate", fix: "a new one" });
    },
    quietMs: 10 * minute,
    trigger: everyMinute(0, 1),
    thenMs: minute,
    end: async (watch) =>
      watch.letters.resolveGroup(await watch.cause(), { cause: "a certificate", fix: "a cron job" }),
    overMs: 7 * minute,
  },
  {
    rule: "PausedTooLong",
    because: "tasks wait in a queue that has been paused for an hour",
    begin: async (watch) => {
      await watch.enqueue(1);
      await watch.inspector.pause(queue);
    },
    quietMs: 59 * minute,
    thenMs: 2 * minute,
    end: async ({ inspector }) => inspector.resume(queue),
    overMs: 0,
  },
  {
    rule: "ForwarderStalled",
    because: "what is due is put to the line by nobody",
    begin: async (watch) => watch.enqueue(1, watch.nowMs + minute),
    quietMs: 3 * minute,
    thenMs: 2 * minute,
    end: async ({ broker, nowMs }) => broker.promote([queue], 10, nowMs),
    overMs: 7 * minute,
  },
  {
    rule: "LeasesExpired",
    because: "nobody takes over from a worker that died",
    begin: async (watch) => {
      await watch.enqueue(1);
      await watch.lease(1);
    },
    quietMs: 3 * minute,
    thenMs: 2 * minute,
    end: async ({ broker, nowMs }) => broker.reclaim([queue], 10, nowMs),
    overMs: 7 * minute,
  },
  {
    rule: "RedisEvicting",
    because: "Redis deleted keys, and another server behind its name no longer does",
    quietMs: 10 * minute,
    trigger: async (watch) => (watch.server = { ...watch.server, evicted_keys: "9" }),
    thenMs: minute,
    end: async (watch) => (watch.server = { ...watch.server, evicted_keys: "5000", run_id: "other" }),
    overMs: 12 * minute,
  },
  {
    rule: "FinalFailureRatio",
    because: "one task in ten ends as a dead letter",
    meanwhile: everyMinute(9, 1),
    quietMs: 15 * minute,
    thenMs: 10 * minute,
    overMs: 22 * minute,
  },
];

describe("a rule as it is shipped", () => {
  it.each(cases)(
    "$rule fires when $because, not before, and is over after it",
    async ({ rule, begin, meanwhile, quietMs, trigger, thenMs, end, overMs }) => {
      await using watch = new Watch();
      // A monitor counts from its first look at a queue on.
      await watch.settle(1, 0);
      await watch.look();

      await begin?.(watch);
      expect(await watch.pass(quietMs, meanwhile)).not.toContain(rule);
      await trigger?.(watch);
      expect(await watch.pass(thenMs, meanwhile)).toContain(rule);

      await end?.(watch);
      const next = await watch.pass(minute);
      expect(next.includes(rule)).toBe(overMs > 0);
      expect(await watch.pass(overMs)).not.toContain(rule);
    },
  );
});
