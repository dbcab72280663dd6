import type { Broker, LeasedTask, Settlement } from "../../src/broker/broker.js";
import type { Outcome } from "../../src/core/outcome.js";
import { failure } from "../support/builders.js";
import { Calls } from "./calls.js";
import { type Estate, Operator } from "./operator.js";

const leaseMs = 10_000;

interface Running {
  readonly task: LeasedTask;
  readonly untilRound: number;
}

/**
 * Workers' turns by hand: everything that a fleet calls, in rounds, with the time put forward between them. What breaks a
 * promise throws; typed errors, which a key of the wrong type may bring, are no breach.
 */
export class Mix {
  readonly #broker: Broker;
  readonly #random: () => number;
  readonly #queues: readonly string[];
  readonly #isHealthy: (queue: string, id: string) => boolean;
  readonly #running = new Map<string, Running>();
  #unsettled: Settlement[] = [];
  #round = 0;
  #requests = 0;
  nowMs: number;
  /** Times that a task was completed, by queue and id. */
  readonly completed = new Map<string, number>();
  readonly calls = new Calls();
  readonly operator: Operator;

  constructor(
    broker: Broker,
    random: () => number,
    queues: readonly string[],
    nowMs: number,
    isHealthy: (queue: string, id: string) => boolean,
    estate: Estate,
  ) {
    this.#broker = broker;
    this.#random = random;
    this.#queues = queues;
    this.#isHealthy = isHealthy;
    this.nowMs = nowMs;
    this.operator = new Operator(broker, this.calls, random, queues, estate);
  }

  /** With an operator's hand in it. */
  async rounds(count: number): Promise<void> {
    for (let n = 0; n < count; n += 1) {
      await this.round();
      await this.operator.act(this.nowMs);
    }
  }

  /** Round by round, each past the grace of what is to be seen twice, until nothing moves. @throws when there is no end */
  async untilQuiet(): Promise<void> {
    let still = 0;
    for (let n = 0; still < 4; n += 1) {
      if (n > 60) throw new Error("there is no end to it");
      const moved = await this.round([31_000, 61_000]);
      still = moved === 0 && this.#running.size === 0 && this.#unsettled.length === 0 ? still + 1 : 0;
    }
  }

  /** One of each; the answer is how much happened. */
  async round(steps: readonly number[] = [1_000, 6_000, 31_000, 61_000]): Promise<number> {
    this.#round += 1;
    this.nowMs += this.#pick(steps);
    let happened = await this.#turns();
    happened += await this.calls.often("promote", async () => {
      const { moved, nextDueMs } = await this.#broker.promote(this.#queues, 50, this.nowMs);
      if (nextDueMs !== undefined && !Number.isSafeInteger(nextDueMs)) throw new Error(`next due at ${nextDueMs}`);
      if (moved < 50 && nextDueMs !== undefined && nextDueMs <= this.nowMs - 1_000)
        throw new Error("due, and not moved");
      return { count: moved, more: moved === 50 };
    });
    happened += await this.calls.often("reclaim", async () => {
      const receipts = await this.#broker.reclaim(this.#queues, 50, this.nowMs);
      for (const { queue, id } of receipts) this.#running.delete(`${queue} ${id}`);
      return { count: receipts.length, more: receipts.length === 50 };
    });
    happened += await this.calls.often("prune", async () => {
      const count = await this.#broker.prune(this.#queues, 50, this.nowMs);
      return { count, more: count === 50 };
    });
    if (this.#round % 5 === 1) await this.operator.look(this.nowMs);
    return happened;
  }

  /** Settle what is finished and lease, as often as there is said to be more. */
  async #turns(): Promise<number> {
    return this.calls.often("exchange", async () => {
      const settle = [...this.#unsettled.splice(0), ...this.#finished()];
      const limit = 1 + this.#below(20);
      const lease = {
        workerId: "w:0",
        requestId: `request-${(this.#requests += 1)}`,
        queues: this.#below(2) === 0 ? this.#queues : this.#queues.toReversed(),
        limit,
        leaseMs,
        // As a worker does: none while one may be running.
        suspects: this.#running.size === 0 ? 1 : this.#below(2),
      };
      const reply = await this.calls.typed(() => this.#broker.exchange({ settle, lease }, this.nowMs));
      if (reply === undefined) return this.#oneByOne(settle);
      this.#confirm(settle, reply.settled);
      for (const task of reply.leased) this.#start(task);
      return { count: reply.leased.length + reply.settled.length, more: reply.more };
    });
  }

  /** As a worker does after a refused turn: each settlement alone, and each queue. */
  async #oneByOne(settle: readonly Settlement[]): Promise<{ count: number; more: boolean }> {
    for (const one of settle) {
      const reply = await this.calls.typed(() => this.#broker.exchange({ settle: [one] }, this.nowMs));
      if (reply === undefined) this.#unsettled.push(one);
      // The turn that was refused may have carried it out.
      else this.#confirm([one], ["settled"]);
    }
    let count = 0;
    for (const queue of this.#queues) {
      const lease = {
        workerId: "w:1",
        requestId: `request-${(this.#requests += 1)}`,
        queues: [queue],
        limit: 10,
        leaseMs,
        suspects: 1,
      };
      const reply = await this.calls.typed(() => this.#broker.exchange({ settle: [], lease }, this.nowMs));
      for (const task of reply?.leased ?? []) this.#start(task);
      count += reply?.leased.length ?? 0;
    }
    return { count, more: false };
  }

  #start(task: LeasedTask): void {
    const { queue, id } = task.lease;
    const key = `${queue} ${id}`;
    const other = this.#running.get(key);
    if (other !== undefined && other.task.lease.untilMs > this.nowMs) throw new Error(`${key} runs twice at once`);
    if (!Number.isSafeInteger(task.crashes) || task.crashes < 0) throw new Error(`${key} has ${task.crashes} crashes`);
    if (!Number.isSafeInteger(task.returns) || task.returns < 0) throw new Error(`${key} has ${task.returns} returns`);
    // One that runs for longer has lost its lease by then.
    const longer = this.#isHealthy(queue, id) ? 0 : this.#pick([0, 0, 0, 1, 1, 2]);
    this.#running.set(key, { task, untilRound: this.#round + longer });
  }

  #finished(): Settlement[] {
    const finished: Settlement[] = [];
    for (const [key, { task, untilRound }] of this.#running) {
      if (untilRound > this.#round) continue;
      this.#running.delete(key);
      // A worker dies now and then, but no task is to blame that often.
      if (this.#below(12) === 0 && (task.crashes === 0 || !this.#isHealthy(task.lease.queue, task.lease.id))) continue;
      finished.push({ task, outcome: this.#outcome(task) });
    }
    return finished;
  }

  #outcome({ lease, message }: LeasedTask): Outcome {
    const { queue, id } = lease;
    if (this.#isHealthy(queue, id) || this.#below(3) > 0)
      return message.retentionMs > 0 ? { kind: "completed", result: Buffer.from("1") } : { kind: "completed" };
    return this.#pick<Outcome>([
      { kind: "retry", atMs: this.nowMs + 5_000, failure: failure(), counts: true },
      { kind: "retry", atMs: this.nowMs + 5_000, failure: failure(), counts: false },
      { kind: "archived", failure: failure() },
      { kind: "released" },
      { kind: "revoked" },
    ]);
  }

  #confirm(settle: readonly Settlement[], receipts: readonly string[]): void {
    if (receipts.length !== settle.length) throw new Error("not a receipt for each");
    for (const [n, { task, outcome }] of settle.entries()) {
      if (receipts[n] !== "settled" || (outcome.kind !== "completed" && outcome.kind !== "revoked")) continue;
      const key = `${task.lease.queue} ${task.lease.id}`;
      this.completed.set(key, (this.completed.get(key) ?? 0) + 1);
    }
  }

  #below = (limit: number) => Math.floor(this.#random() * limit);
  #pick = <T>(from: readonly T[]): T => from[this.#below(from.length)]!;
}
