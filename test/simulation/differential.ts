import type { Broker, LeasedTask, LeaseRequest, Settlement, TaskRef, Turn } from "../../src/broker/broker.js";
import type { NewTask } from "../../src/core/message.js";
import { newTask, settled } from "../support/builders.js";
import type { RedisServer } from "../support/redis-server.js";
import { renew } from "../support/renew.js";
import { seeded } from "../support/seeded.js";
import { Data } from "./data.js";

/** A call, and what both have answered to it, in a form that compares. */
export interface Answers {
  readonly call: string;
  readonly simulated: unknown;
  readonly real: unknown;
}

const steps = 40;
/** Longer than any sequence lasts: locks run out by the server's own clock. */
const lockMs = 10 * 365 * 86_400_000;
const waits = [1, 400, 1_000, 5_000, 8_000, 61_000];
const workers = ["v", "w"];
let sequences = 0;
const lockOf = (queue: string, n: number) => `asynq:{${queue}}:unique:t:${n}`;

/** The same calls, made of one seed, to the simulated data and to a Redis; ends with the first answers that differ. */
export async function* differential(
  seed: number,
  broker: Broker,
  server: RedisServer,
): AsyncGenerator<Answers, void, undefined> {
  const both = new Both(seed, broker, server);
  for (let step = 0; step < steps; step += 1) yield await both.step();
  yield* both.rest();
}

class Both {
  readonly #data = new Data();
  readonly #broker: Broker;
  readonly #server: RedisServer;
  readonly #random: () => number;
  readonly #queues: readonly string[];
  readonly #startMs = Math.floor(Date.now() / 1_000) * 1_000;
  readonly #ids: readonly string[];
  /** Every lease that was ever given. */
  readonly #hands: LeasedTask[] = [];
  readonly #turns = new Map<string, { readonly turn: Turn; readonly atMs: number }>();
  #nowMs = this.#startMs;
  #requests = 0;

  constructor(seed: number, broker: Broker, server: RedisServer) {
    this.#random = seeded(seed);
    this.#broker = broker;
    this.#server = server;
    const run = `${process.pid}-${(sequences += 1)}`;
    this.#queues = ["a", "b"].map((name) => `${name}-${run}`);
    const time = this.#startMs.toString(16).padStart(12, "0");
    const ours = (n: number) => `${time.slice(0, 8)}-${time.slice(8)}-7000-8000-${String(n).padStart(12, "0")}`;
    this.#ids = [...Array.from({ length: 8 }, (_, n) => ours(n)), "x", "y"];
  }

  step(): Promise<Answers> {
    const choice = this.#random();
    if (choice < 0.35) return this.#enqueue();
    if (choice < 0.7) return this.#exchange();
    if (choice < 0.75) return this.#sendAgain();
    if (choice < 0.8) return this.#renew();
    if (choice < 0.9) return this.#maintain();
    this.#nowMs += this.#one(waits);
    return Promise.resolve({ call: `wait until ${this.#nowMs - this.#startMs}`, simulated: 0, real: 0 });
  }

  /** All that is there in the end, and what is remembered of what is not. */
  async *rest(): AsyncGenerator<Answers, void, undefined> {
    for (const queue of this.#queues) {
      const { items } = await this.#broker.list({ queue, state: "pending" }, { limit: 100 });
      yield { call: `line ${queue}`, simulated: this.#data.model.line(queue), real: items.map(({ id }) => id) };
      yield this.#tasks(queue);
      yield this.#counters(queue);
      yield this.#locks(queue);
      yield this.#memory(queue);
    }
  }

  async #tasks(queue: string): Promise<Answers> {
    const refs = this.#ids.map((id) => ({ queue, id }));
    const found = await this.#broker.find(refs);
    const simulated = refs.map((ref) => {
      const task = this.#data.model.tasks.get(`${queue} ${ref.id}`);
      const reason = task?.state === "archived" ? this.#data.reasons.get(`${queue} ${ref.id}`) : undefined;
      return task && [task.state, task.retried, this.#data.messageOf(task).maxRetry, reason];
    });
    const real = found.map((task) => {
      const reason = task?.state === "archived" ? task.failure?.reason : undefined;
      return task && [task.state, task.message?.retried, task.message?.maxRetry, reason];
    });
    return { call: `tasks ${queue}`, simulated, real };
  }

  async #counters(queue: string): Promise<Answers> {
    const [info] = await this.#broker.queues(this.#nowMs, [queue]);
    const [pending] = await this.#broker.pending([queue]);
    const { model } = this.#data;
    const counts = model.counts(queue);
    const none = { processed: 0, failed: 0 };
    const { processed, failed } = info ?? none;
    const shown = (of: object) =>
      Object.entries(of)
        .filter(([, count]) => count > 0)
        .toSorted(([a], [b]) => a.localeCompare(b));
    return {
      call: `counters ${queue}`,
      simulated: { ...(model.totals.get(queue) ?? none), counts: shown(counts), pending: counts.pending ?? 0 },
      real: { processed, failed, counts: shown(info?.counts ?? {}), pending },
    };
  }

  async #locks(queue: string): Promise<Answers> {
    const names = [0, 1].map((n) => lockOf(queue, n));
    const held = this.#data.locks(this.#startMs);
    const real = await this.#server.admin.mget(...names);
    return { call: `locks ${queue}`, simulated: names.map((name) => held.get(name) ?? null), real };
  }

  /** Each id once more, as a spool repeats it that has heard no answer. */
  async #memory(queue: string): Promise<Answers> {
    const clear = this.#ids.filter((id) => !this.#isUnclear({ queue, id }));
    const tasks = clear.map((id) => newTask({ queue, id }, { repeat: true, spooled: 900_000 }));
    const real = await this.#broker.enqueue(tasks, this.#nowMs);
    return { call: `memory ${queue}`, simulated: this.#data.enqueue(tasks, this.#nowMs, this.#startMs), real };
  }

  /** Past the horizon storage may still remember, or have forgotten: nobody asks it then. */
  #isUnclear(ref: TaskRef): boolean {
    const { model } = this.#data;
    model.nowMs = this.#nowMs;
    return model.finished.has(`${ref.queue} ${ref.id}`) && !model.isFinishedLately(ref);
  }

  async #enqueue(): Promise<Answers> {
    const tasks = Array.from({ length: 1 + this.#below(4) }, () => this.#task());
    const real = await this.#broker.enqueue(tasks, this.#nowMs);
    return { call: "enqueue", simulated: this.#data.enqueue(tasks, this.#nowMs, this.#startMs), real };
  }

  #task(): NewTask {
    const queue = this.#one(this.#queues);
    const id = this.#one(this.#ids);
    const lock = this.#chance(0.3) ? lockOf(queue, this.#below(2)) : "";
    const repeat = this.#chance(0.5) && !this.#isUnclear({ queue, id });
    return newTask(
      { queue, id, uniqueKey: lock, retentionMs: this.#chance(0.3) ? 5_000 : 0 },
      {
        processAtMs: this.#chance(0.3) ? this.#nowMs + this.#below(10_000) : 0,
        uniqueForMs: lock === "" ? 0 : lockMs,
        atMostOnce: this.#chance(0.2),
        repeat,
        ...(repeat && this.#chance(0.5) && { spooled: this.#one([900_000, 1_000_500]) }),
      },
    );
  }

  async #exchange(): Promise<Answers> {
    const settle = Array.from({ length: this.#below(4) }, () => this.#settlement()).filter((one) => one !== undefined);
    const workerId = this.#worker();
    const lease = this.#chance(0.8) ? this.#request(workerId) : undefined;
    const turn = { settle, lease };
    if (lease !== undefined) this.#turns.set(workerId, { turn, atMs: this.#nowMs });
    return this.#take("exchange", turn);
  }

  /** A worker whose reply was lost: not after a minute, for then nobody remembers it. */
  async #sendAgain(): Promise<Answers> {
    const last = this.#turns.get(this.#worker());
    if (last === undefined || this.#nowMs - last.atMs > 50_000) return this.#exchange();
    const again = await this.#take("exchange again", last.turn);
    return again;
  }

  async #take(call: string, turn: Turn): Promise<Answers> {
    const real = await this.#broker.exchange(turn, this.#nowMs);
    const simulated = this.#data.exchange(turn, this.#nowMs);
    this.#hands.push(...real.leased);
    const shown = ({ settled: receipts, leased }: typeof real) => ({
      receipts,
      leased: leased.map(({ message: { retried }, lease, crashes, returns, atMostOnce, spooled = 0 }) => {
        return { ...lease, retried, crashes, returns, atMostOnce, spooled };
      }),
    });
    return { call, simulated: shown(simulated), real: shown(real) };
  }

  #settlement(): Settlement | undefined {
    const task = this.#hands.at(-1 - this.#below(8));
    if (task === undefined) return undefined;
    const outcomes: readonly Settlement[] = [
      settled.completed(task),
      settled.completed(task),
      settled.retry(task, this.#nowMs + this.#below(9_000)),
      settled.retry(task, this.#nowMs + 1_000, false),
      settled.archived(task),
      settled.revoked(task),
      settled.released(task),
      { task, outcome: { kind: "released", unstarted: true } },
    ];
    return this.#one(outcomes);
  }

  #request(workerId: string): LeaseRequest {
    const limit = 1 + this.#below(5);
    const queues = this.#chance(0.5) ? this.#queues : this.#queues.toReversed();
    return {
      workerId,
      requestId: `${workerId}.${(this.#requests += 1)}`,
      queues,
      limit,
      leaseMs: this.#one([5_000, 7_300]),
      suspects: this.#below(2),
      ...(this.#chance(0.4) && { startable: this.#below(limit + 1) }),
      ...(this.#chance(0.3) && { limits: { [queues[0]!]: this.#below(3) } }),
    };
  }

  async #renew(): Promise<Answers> {
    // Each once: storage holds a task for one.
    const held = [
      ...new Map(this.#hands.slice(-6).map((task) => [`${task.lease.queue} ${task.lease.id}`, task])).values(),
    ];
    if (held.length === 0) return this.#enqueue();
    const leaseMs = 6_000;
    const letters = await renew(this.#server, this.#queues, held, Math.ceil((this.#nowMs + leaseMs) / 1_000));
    const leases = held.map(({ lease }) => lease);
    const lost = new Set(this.#data.renew(leases, leaseMs, this.#nowMs));
    const simulated = leases.map((lease) => (lost.has(lease) ? "l" : "r")).join("");
    return { call: "renew", simulated, real: String((letters as unknown[])[0]) };
  }

  async #maintain(): Promise<Answers> {
    const verb = this.#one(["reclaim", "promote", "prune"] as const);
    const limit = 1 + this.#below(4);
    const real = await this.#broker[verb](this.#queues, limit, this.#nowMs);
    return { call: verb, simulated: this.#data[verb](this.#queues, limit, this.#nowMs), real };
  }

  #worker = () => `${this.#queues[0]}-${this.#one(workers)}`;
  #below = (most: number) => Math.floor(this.#random() * most);
  #chance = (of: number) => this.#random() < of;
  #one = <T>(of: readonly T[]): T => of[this.#below(of.length)]!;
}
