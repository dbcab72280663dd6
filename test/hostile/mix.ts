import type { Broker, LeasedTask, Settlement } from "../../src/broker/broker.js";
import type { Steering } from "../../src/broker/roles.js";
import { HoldfastError } from "../../src/core/errors.js";
import type { TaskInfo } from "../../src/core/info.js";
import type { Outcome } from "../../src/core/outcome.js";
import { failure } from "../support/builders.js";

const leaseMs = 10_000;
/** All that an engine may say of a key that another program has changed. */
const inTheWay = /^(.* is a \w+, not a \w+|.* does not hold a count)(; |$)/s;
const states = ["pending", "active", "scheduled", "retry", "archived", "completed", "aggregating"] as const;

interface Running {
  readonly task: LeasedTask;
  readonly untilRound: number;
}

/**
 * Workers' turns by hand: everything that a fleet calls, in rounds, with the time put forward between them. What breaks a
 * promise throws; typed errors, which a key of the wrong type may bring, are no breach.
 */
export class Mix {
  readonly #broker: Broker & Pick<Steering, "move" | "setPaused">;
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
  /** Typed errors that came. */
  readonly problems = new Set<string>();

  constructor(
    broker: Broker & Pick<Steering, "move" | "setPaused">,
    random: () => number,
    queues: readonly string[],
    nowMs: number,
    isHealthy: (queue: string, id: string) => boolean,
  ) {
    this.#broker = broker;
    this.#random = random;
    this.#queues = queues;
    this.#isHealthy = isHealthy;
    this.nowMs = nowMs;
  }

  /** With an operator's hand in it. */
  async rounds(count: number): Promise<void> {
    for (let n = 0; n < count; n += 1) {
      await this.round();
      await this.#steer();
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
    happened += await this.#often("promote", async () => {
      const { moved, nextDueMs } = await this.#broker.promote(this.#queues, 50, this.nowMs);
      if (nextDueMs !== undefined && !Number.isSafeInteger(nextDueMs)) throw new Error(`next due at ${nextDueMs}`);
      if (moved < 50 && nextDueMs !== undefined && nextDueMs <= this.nowMs - 1_000)
        throw new Error("due, and not moved");
      return { count: moved, more: moved === 50 };
    });
    happened += await this.#often("reclaim", async () => {
      const receipts = await this.#broker.reclaim(this.#queues, 50, this.nowMs);
      for (const { queue, id } of receipts) this.#running.delete(`${queue} ${id}`);
      return { count: receipts.length, more: receipts.length === 50 };
    });
    happened += await this.#often("prune", async () => {
      const count = await this.#broker.prune(this.#queues, 50, this.nowMs);
      return { count, more: count === 50 };
    });
    if (this.#round % 5 === 1) await this.#look();
    return happened;
  }

  /** All of a state is run or archived, and the queue paused for a moment; healthy tasks are in none of these states. */
  async #steer(): Promise<void> {
    const queue = this.#pick(this.#queues);
    const state = this.#pick(["scheduled", "retry", "archived", "completed", "aggregating"] as const);
    const to = state === "completed" || state === "archived" ? "pending" : this.#pick(["pending", "archived"] as const);
    const by = { actor: "operator", reason: "to see", requestId: `${this.#round}` };
    await this.#typed(() => this.#broker.setPaused([queue], true, by, this.nowMs));
    await this.#often(`move from ${state} to ${to}`, async () => {
      const receipt = await this.#broker.move({ queue, state }, to, by, { limit: 20 }, this.nowMs);
      if (!("moved" in receipt)) throw new Error("receipts for ids that nobody named");
      return { count: receipt.moved, more: receipt.cursor !== undefined };
    });
    await this.#typed(() => this.#broker.setPaused([queue], false, by, this.nowMs));
  }

  /** Settle what is finished and lease, as often as there is said to be more. */
  async #turns(): Promise<number> {
    return this.#often("exchange", async () => {
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
      const reply = await this.#typed(() => this.#broker.exchange({ settle, lease }, this.nowMs));
      if (reply === undefined) return this.#oneByOne(settle);
      this.#confirm(settle, reply.settled);
      for (const task of reply.leased) this.#start(task);
      return { count: reply.leased.length + reply.settled.length, more: reply.more };
    });
  }

  /** As a worker does after a refused turn: each settlement alone, and each queue. */
  async #oneByOne(settle: readonly Settlement[]): Promise<{ count: number; more: boolean }> {
    for (const one of settle) {
      const reply = await this.#typed(() => this.#broker.exchange({ settle: [one] }, this.nowMs));
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
      const reply = await this.#typed(() => this.#broker.exchange({ settle: [], lease }, this.nowMs));
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

  async #look(): Promise<void> {
    for (const info of (await this.#typed(() => this.#broker.queues(this.nowMs))) ?? []) {
      const numbers = [...Object.values(info.counts), info.processed, info.failed, info.latencyMs];
      if (numbers.some((value) => !Number.isFinite(value))) throw new Error(`queues: ${JSON.stringify(info)}`);
    }
    for (const queue of this.#queues) for (const state of states) await this.#pages({ queue, state });
  }

  async #pages(selection: { queue: string; state: (typeof states)[number] }): Promise<void> {
    let cursor: string | undefined;
    const seen = new Set<string>();
    for (let page = 0; ; page += 1) {
      if (page > 200) throw new Error(`the list of ${selection.state} has no end`);
      const answer = await this.#typed(() => this.#broker.list(selection, { limit: 7, cursor }));
      for (const info of answer?.items ?? []) {
        mustBeSane(info);
        seen.add(info.id);
      }
      cursor = answer?.next;
      if (cursor === undefined) break;
    }
    const found = await this.#typed(() => this.#broker.find([...seen].map((id) => ({ queue: selection.queue, id }))));
    for (const info of found ?? []) if (info !== undefined) mustBeSane(info);
  }

  /** A call and, while it says there is more, again at once: not for ever, and never in silence. */
  async #often(what: string, call: () => Promise<{ count: number; more: boolean }>): Promise<number> {
    let happened = 0;
    for (let n = 0; ; n += 1) {
      if (n > 100) throw new Error(`${what} says for ever that there is more`);
      const startedMs = performance.now();
      const answer = await this.#typed(call);
      const tookMs = performance.now() - startedMs;
      if (tookMs > 2_000) throw new Error(`${what} took ${Math.round(tookMs)} ms`);
      happened += answer?.count ?? 0;
      if (answer?.more !== true) return happened;
    }
  }

  /** The answer, or `undefined` when storage could not, and said so as the contract has it. */
  async #typed<T>(call: () => Promise<T>): Promise<T | undefined> {
    try {
      return await call();
    } catch (error) {
      if (!HoldfastError.is(error, "BROKER_FAILED") || !inTheWay.test(error.data.problem)) throw error;
      this.problems.add(error.data.problem);
      return undefined;
    }
  }

  #below = (limit: number) => Math.floor(this.#random() * limit);
  #pick = <T>(from: readonly T[]): T => from[this.#below(from.length)]!;
}

function mustBeSane(info: TaskInfo): void {
  const numbers = [info.crashes, info.dueAtMs ?? 0, info.archivedAtMs ?? 0];
  const { failure: last } = info;
  const texts = last === undefined ? [] : [last.reason, last.class, last.message];
  if (numbers.some((value) => !Number.isFinite(value)) || texts.some((text) => typeof text !== "string"))
    throw new Error(`${info.id} is told as ${JSON.stringify({ ...info, bytes: undefined })}`);
}
