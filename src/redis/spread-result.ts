import type { LeasedTask, LeaseRequest, Settlement, SettleReceipt, Turn, TurnReply } from "../broker/broker.js";
import { HoldfastError } from "../core/errors.js";
import { groupedBy } from "../core/grouped-by.js";
import { isUnreadable, unavailable } from "./answers.js";
import { exchange } from "./exchange.js";
import type { Caller, Command, RedisLink, Reply } from "./link.js";
import type { Patience } from "./patience.js";

/** A queue's part of a turn: what it settles, and how much is leased from it. */
export interface Part {
  readonly queue: string;
  readonly settle: readonly Settlement[];
  /** Where in the turn's list each of them stands. */
  readonly at: readonly number[];
  readonly lease: LeaseRequest | undefined;
}

export function partsOf(settle: readonly Settlement[]): Map<string, { settle: Settlement[]; at: number[] }> {
  const parts = new Map<string, { settle: Settlement[]; at: number[] }>();
  for (const [at, settlement] of settle.entries()) {
    const { queue } = settlement.task.lease;
    const part = parts.get(queue);
    if (part === undefined) parts.set(queue, { settle: [settlement], at: [at] });
    else {
      part.settle.push(settlement);
      part.at.push(at);
    }
  }
  return parts;
}

interface Failed {
  readonly part: Part;
  readonly error: Error;
}

/** What the parts of one turn came to. */
export class Result {
  readonly leased: LeasedTask[] = [];
  readonly dry = new Set<string>();
  readonly paused = new Set<string>();
  more = false;
  /** A queue gave less than was asked for, though it is not at its end: what is next there may not be leased ahead. */
  heldBack = false;
  readonly #link: RedisLink;
  readonly #patience: Patience;
  readonly #nodeOf: (queue: string) => string;
  readonly #settled: (SettleReceipt | undefined)[];
  readonly #failed: Failed[] = [];
  /** Somebody gave an answer. */
  #answered = false;

  constructor(link: RedisLink, settlements: number, patience: Patience, nodeOf: (queue: string) => string) {
    this.#link = link;
    this.#patience = patience;
    this.#nodeOf = nodeOf;
    this.#settled = Array.from({ length: settlements });
  }

  /** It will end in an error: nothing more is to be leased. */
  get stuck(): boolean {
    return this.#failed.some((failed) => isHopeless(failed) || isUnheard(failed));
  }

  /** Replies to a few commands about each queue, where its node answers. */
  async look(
    queues: readonly string[],
    commands: (queue: string) => readonly Command[],
  ): Promise<Map<string, Reply[]>> {
    const nodes = groupedBy(queues, (queue) => this.#nodeOf(queue));
    const seen = new Map<string, Reply[]>();
    await Promise.all(
      [...nodes].map(async ([node, own]) => {
        const answer = await this.#patience.wait(node, this.#run(own.flatMap(commands)));
        if (answer === undefined) return;
        if (answer.status === "rejected") return void unavailable(answer.reason);
        this.#answered = true;
        const each = answer.value.length / own.length;
        for (const [n, queue] of own.entries()) seen.set(queue, answer.value.slice(n * each, (n + 1) * each));
      }),
    );
    return seen;
  }

  /** `before`: what they give goes before what has come already. */
  async collect(parts: readonly Part[], nowMs: number, { before = false } = {}): Promise<void> {
    if (parts.length === 0) return;
    const given: LeasedTask[] = [];
    const impatient: Caller = { label: this.#link.label, run: this.#run };
    const answers = await Promise.all(
      parts.map((part) =>
        this.#patience.wait(this.#nodeOf(part.queue), exchange(impatient, part, nowMs), ({ leased }) =>
          this.#release(leased, nowMs),
        ),
      ),
    );
    for (const [n, answer] of answers.entries()) {
      const part = parts[n]!;
      if (answer === undefined) continue;
      if (answer.status === "rejected") {
        // Its settlements are "unavailable", and nobody above hears of it.
        if (isUnreadable(answer.reason)) this.#link.distrust();
        this.#failed.push({ part, error: answer.reason as Error });
        continue;
      }
      this.#answered = true;
      const { settled, leased, more, dry, paused } = answer.value;
      for (const [k, receipt] of settled.entries()) this.#settled[part.at[k]!] = receipt;
      given.push(...leased);
      for (const queue of dry) this.dry.add(queue);
      for (const queue of paused) this.paused.add(queue);
      this.more ||= more;
      const { limit = 0, limits = {} } = part.lease ?? {};
      const over = more || dry.length + paused.length > 0;
      this.heldBack ||= !over && leased.length < Math.min(limit, limits[part.queue] ?? limit);
    }
    if (before) this.leased.unshift(...given);
    else this.leased.push(...given);
  }

  /** @throws what is owed an error: see `Spread` */
  async reply({ settle, lease }: Turn, nowMs: number): Promise<TurnReply> {
    const { leased, more } = this;
    const done = settle.filter((_, at) => this.#settled[at] !== undefined);
    // Where nothing was done at all, an error costs nobody anything.
    const idle = leased.length + done.length === 0;
    const hopeless = this.#failed.find((failed) => isHopeless(failed) || (idle && !isAway(failed.error)));
    if (hopeless !== undefined) {
      // It will not be sent again as it is, and the error would not tell what was leased.
      await this.#release(leased, nowMs);
      throw hopeless.error;
    }
    const unheard = this.#failed.filter(isUnheard);
    const leasing = lease !== undefined && lease.limit > 0;
    const away = unheard.length > 0 ? unheard : leasing && !this.#answered ? this.#failed : [];
    if (away.length > 0) throw this.#unavailable(away, done, idle);

    // A queue may have given one that has just come, or again all it gave to the same request before.
    const surplus = lease === undefined ? [] : leased.splice(lease.limit);
    await this.#release(surplus, nowMs);
    const amongAll = (some: ReadonlySet<string>) => lease?.queues.filter((queue) => some.has(queue)) ?? [];
    return {
      settled: Array.from(this.#settled, (receipt) => receipt ?? "unavailable"),
      leased,
      more: more || surplus.length > 0,
      dry: amongAll(this.dry),
      paused: amongAll(this.paused),
    };
  }

  #unavailable(away: readonly Failed[], done: readonly Settlement[], idle: boolean): Error {
    const errors = away.map(({ error }) => error as HoldfastError<"BROKER_UNAVAILABLE">);
    const unsure = errors.find(({ data }) => data.outcome === "unknown");
    const { problem, outcome } = (unsure ?? errors[0]!).data;
    const ids = (some: readonly Settlement[]) => some.map(({ task }) => task.lease.id);
    return new HoldfastError("BROKER_UNAVAILABLE", {
      broker: this.#link.label,
      problem,
      outcome: idle ? outcome : "unknown",
      taskIds: [...ids(done), ...away.flatMap(({ part }) => ids(part.settle))],
    });
  }

  /** One queue's node may be away while the others' tasks wait to be started. */
  readonly #run: RedisLink["run"] = (calls, options) => this.#link.run(calls, { ...options, insist: false });

  async #release(leased: readonly LeasedTask[], nowMs: number): Promise<void> {
    for (const { settle } of partsOf(
      leased.map((task) => ({ task, outcome: { kind: "released", unstarted: true } })),
    ).values()) {
      // What cannot be given back now comes back when its lease ends.
      await exchange({ label: this.#link.label, run: this.#run }, { settle }, nowMs).catch(() => undefined);
    }
  }
}

const isAway = (error: Error): error is HoldfastError<"BROKER_UNAVAILABLE"> =>
  HoldfastError.is(error, "BROKER_UNAVAILABLE");

/** A receipt is owed, and there will be none. */
const isHopeless = ({ part, error }: Failed) => part.settle.length > 0 && !isAway(error);

/** Tasks may have been leased: then the same request has to come again. */
const isUnheard = ({ part, error }: Failed) =>
  part.lease !== undefined && isAway(error) && error.data.outcome === "unknown";
