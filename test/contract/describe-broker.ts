import { afterAll, beforeAll, describe, expect, it as test } from "vitest";
import type {
  Broker,
  EnqueueReceipt,
  LeasedTask,
  LeaseRequest,
  Promotion,
  ReclaimReceipt,
  Settlement,
  SettleReceipt,
} from "../../src/broker/broker.js";
import type { Act, MoveReceipt, MoveSelection, MoveTarget } from "../../src/broker/roles.js";
import type { QueueInfo, TaskInfo } from "../../src/core/info.js";
import type { NewTask, TaskMessage } from "../../src/core/message.js";
import type { Place, TaskState } from "../../src/core/state.js";
import { newTask } from "../support/builders.js";
import { describeRedis } from "../support/redis-server.js";
import { type Engine, enginesFor, type Need, type Storage } from "./engines.js";

export const states: readonly TaskState[] = [
  "pending",
  "active",
  "scheduled",
  "retry",
  "archived",
  "completed",
  "aggregating",
];

type It = (
  name: string,
  body: (t: Trial) => Promise<void>,
  options?: { readonly needs?: Need; readonly timeoutMs?: number; readonly closes?: boolean },
) => void;

/** The same tests for each engine, each test with queues of its own; one that `closes` its broker, with a fresh broker. */
export function describeBroker(promise: string, body: (tools: { readonly it: It }) => void): void {
  for (const engine of enginesFor(promise)) {
    const title = `${promise} (${engine.name})`;
    if (engine.needsRedis) describeRedis(title, () => suite(engine, body));
    else describe(title, () => suite(engine, body));
  }
}

function suite(engine: Engine, body: (tools: { readonly it: It }) => void): void {
  let run: Awaited<ReturnType<Engine["start"]>>;
  beforeAll(async () => {
    run = await engine.start();
  });
  afterAll(() => run[Symbol.asyncDispose]());

  const it: It = (name, trial, { needs, timeoutMs, closes = false } = {}) => {
    const gap = [needs ?? []]
      .flat()
      .map((need) => engine.gaps[need])
      .find((reason) => reason !== undefined);
    if (gap !== undefined) {
      test.skip(`${name} (${gap})`, () => {});
      return;
    }
    test(
      name,
      async () => {
        const storage = await run.storage();
        const t = new Trial(storage, closes ? undefined : storage.kept);
        try {
          await trial(t);
        } finally {
          await t.close();
          await storage[Symbol.asyncDispose]();
        }
      },
      timeoutMs,
    );
  };
  body({ it });
}

let trials = 0;
let requests = 0;

/**
 * What a contract test works with: a broker, and its verbs with whatever the test does not care about filled in. Times
 * are counted from `t.at(0)`, a whole second.
 */
export class Trial {
  readonly broker: Broker;
  readonly storage: Storage;
  readonly queue: string;
  readonly #zeroMs = Math.floor(Date.now() / 1_000) * 1_000;
  readonly #number = (trials += 1);
  readonly #brokers: Broker[] = [];

  constructor(storage: Storage, broker?: Broker) {
    this.storage = storage;
    this.queue = this.queueNamed("tasks");
    this.broker = broker ?? this.another();
  }

  /** The same broker with another queue: as good as a fresh one, and quicker. */
  elsewhere(): Trial {
    return new Trial(this.storage, this.broker);
  }

  /** Another broker on the same storage. */
  another(): Broker {
    const broker = this.storage.open();
    this.#brokers.push(broker);
    return broker;
  }

  /** A queue that no other test uses. */
  queueNamed(name: string): string {
    return `${process.pid}-${this.#number}-${name}`;
  }

  /** Unix ms, so many after this test's beginning of time. */
  at(ms: number): number {
    return this.#zeroMs + ms;
  }

  /** A task for this test's queue. */
  task(id: string, fields: Partial<TaskMessage> = {}, how: Partial<Omit<NewTask, "message">> = {}): NewTask {
    return newTask({ id, queue: this.queue, ...fields }, how);
  }

  enqueue(tasks: readonly (NewTask | string)[], ms = 0): Promise<EnqueueReceipt[]> {
    return this.broker.enqueue(
      tasks.map((task) => (typeof task === "string" ? this.task(task) : task)),
      this.at(ms),
    );
  }

  request(fields: Partial<LeaseRequest> = {}): LeaseRequest {
    const requestId = `request-${(requests += 1)}`;
    return {
      workerId: `worker-of-${requestId}`,
      requestId,
      queues: [this.queue],
      limit: 100,
      leaseMs: 30_000,
      suspects: 1,
      ...fields,
    };
  }

  async lease(fields: Partial<LeaseRequest> = {}, ms = 0): Promise<LeasedTask[]> {
    const { leased } = await this.broker.exchange({ settle: [], lease: this.request(fields) }, this.at(ms));
    return leased;
  }

  /** Lease all there are: an engine may answer with fewer than `limit` at a time. */
  async leaseAll(fields: Partial<LeaseRequest> = {}, ms = 0): Promise<LeasedTask[]> {
    const all: LeasedTask[] = [];
    for (;;) {
      const leased = await this.lease(fields, ms);
      if (leased.length === 0) return all;
      all.push(...leased);
    }
  }

  /** Lease exactly one task. */
  async leaseOne(fields: Partial<LeaseRequest> = {}, ms = 0): Promise<LeasedTask> {
    const leased = await this.lease({ limit: 1, ...fields }, ms);
    expect(leased).toHaveLength(1);
    return leased[0]!;
  }

  async settle(settle: readonly Settlement[], ms = 0): Promise<SettleReceipt[]> {
    const { settled } = await this.broker.exchange({ settle }, this.at(ms));
    return settled;
  }

  reclaim(ms: number, limit = 100): Promise<ReclaimReceipt[]> {
    return this.broker.reclaim([this.queue], limit, this.at(ms));
  }

  promote(ms: number, limit = 100): Promise<Promotion> {
    return this.broker.promote([this.queue], limit, this.at(ms));
  }

  prune(ms: number, limit = 100): Promise<number> {
    return this.broker.prune([this.queue], limit, this.at(ms));
  }

  /** Move these tasks of the queue, or what is in a state. */
  move(
    what: readonly string[] | TaskState,
    to: MoveTarget,
    {
      ms = 0,
      limit = 100,
      attempts,
      cursor,
    }: { ms?: number; limit?: number; attempts?: number; cursor?: string | undefined } = {},
  ): Promise<MoveReceipt> {
    const selection: MoveSelection =
      typeof what === "string" ? { queue: this.queue, state: what } : { queue: this.queue, ids: what };
    const options = { limit, cursor, ...(attempts === undefined ? {} : { attempts }) };
    return this.broker.move(selection, to, by, options, this.at(ms));
  }

  async find(id: string, queue = this.queue): Promise<TaskInfo | undefined> {
    return (await this.broker.find([{ queue, id }]))[0];
  }

  async stateOf(id: string): Promise<Place> {
    return (await this.find(id))?.state ?? "gone";
  }

  /** Ids in the order in which the engine tells them. */
  async ids(state: TaskState, queue = this.queue): Promise<string[]> {
    const { items } = await this.broker.list({ queue, state }, { limit: 500 });
    return items.map(({ id }) => id);
  }

  async info(ms = 0, queue = this.queue): Promise<QueueInfo | undefined> {
    return (await this.broker.queues(this.at(ms), [queue]))[0];
  }

  /** How many tasks there are in each state that has any. */
  async counts(): Promise<Partial<Record<TaskState, number>>> {
    const all = Object.entries((await this.info())?.counts ?? {});
    return Object.fromEntries(all.filter(([, count]) => count > 0));
  }

  async close(): Promise<void> {
    await Promise.all(this.#brokers.map((broker) => broker.close()));
  }
}

/** Who steers in a test. */
export const by: Act = { actor: "ops@test", reason: "a test", requestId: "request-of-ops" };

export const idsOf = (leased: readonly LeasedTask[]): string[] => leased.map(({ lease }) => lease.id);
