import { lostCause } from "../broker/eviction.js";
import { type EvictedKeys, evictedSince } from "../core/evicted-keys.js";
import type { Facts } from "./facts.js";

/** Counters that grow, by their number in the trail; what is not there is 0. What is asked of them is by how much, of late. */
type Totals = Float64Array;

interface Sample {
  readonly atMs: number;
  readonly totals: Totals;
}

/** A window's begin is missed by this share of its length at most: the older samples are, the farther apart they may be. */
const coarseness = 1 / 20;

/**
 * What counters were in the last while. Dead letters leave their queue by many ways, so what has come is counted here, look by
 * look. It is kept in this process alone: after a restart a window begins anew, and `increase` says so.
 */
export class Trail {
  readonly #longestMs: number;
  readonly #samples: Sample[] = [];
  readonly #arrived = new Map<string, number>();
  readonly #archived = new Map<string, number>();
  readonly #evicted = new Map<string, { readonly last: EvictedKeys; readonly total: number }>();
  /** The numbers of counters, by name: thousands of queues have some each, in each of a hundred samples. */
  #numbers = new Map<string, number>();
  #mostNumbers = 1_000;
  #last: Totals = new Float64Array(0);

  constructor(longestMs: number) {
    this.#longestMs = longestMs;
  }

  /** Takes a look into account; looks come in the order of time. */
  add(facts: Facts): void {
    if (facts.atMs === this.#samples.at(-1)?.atMs) return;
    for (const { info } of facts.queues) {
      const before = this.#archived.get(info.name);
      const more = before === undefined ? 0 : Math.max(0, info.counts.archived - before);
      this.#arrived.set(info.name, (this.#arrived.get(info.name) ?? 0) + more);
      this.#archived.set(info.name, info.counts.archived);
    }
    for (const { node, evicted: now } of facts.servers) {
      const before = this.#evicted.get(node);
      const total = before === undefined ? 0 : before.total + evictedSince(before.last, now);
      this.#evicted.set(node, { last: now, total });
    }
    this.#forgetQueues(facts);
    this.#last = this.#totalsOf(facts);
    this.#samples.push({ atMs: facts.atMs, totals: this.#last });
    this.#thin(facts.atMs);
    // One from before the window stays: a window begins there.
    while (this.#samples.length > 2 && this.#samples[1]!.atMs <= facts.atMs - this.#longestMs) this.#samples.shift();
    this.#forgetCounters();
  }

  /** Dead letters that have come to a queue since this process looks. */
  arrived(queue: string): number {
    return this.#arrived.get(queue) ?? 0;
  }

  /** Keys that a server has deleted for want of memory since this process looks. */
  evicted(node: string): number {
    return this.#evicted.get(node)?.total ?? 0;
  }

  /** Samples that are kept. */
  get size(): number {
    return this.#samples.length;
  }

  /** By how much a counter has grown in the last while, and whether that much time has been seen. */
  increase(counter: string, windowMs: number, nowMs: number): { readonly by: number; readonly whole: boolean } {
    const from = this.#samples.findLast(({ atMs }) => atMs <= nowMs - windowMs) ?? this.#samples[0];
    if (from === undefined) return { by: 0, whole: false };
    const number = this.#numbers.get(counter) ?? -1;
    const now = this.#last[number] ?? 0;
    // One that was not there yet has come since, unless all that is known of it is this look.
    const then = from.totals[number] ?? 0;
    return { by: Math.max(0, now - then), whole: from.atMs <= nowMs - windowMs };
  }

  #thin(nowMs: number): void {
    for (let at = this.#samples.length - 2; at >= 1; at -= 1) {
      const [before, after] = [this.#samples[at - 1]!.atMs, this.#samples[at + 1]!.atMs];
      if (after - before <= (nowMs - before) * coarseness) this.#samples.splice(at, 1);
    }
  }

  #totalsOf({ queues, types }: Facts): Totals {
    const most = this.#numbers.size + 3 * queues.length + 2 * (types?.length ?? 0) + this.#evicted.size;
    const totals = new Float64Array(most);
    const add = (name: string, more: number) => {
      if (more <= 0) return; // Most of thousands of queues are idle.
      const number = this.#numbers.get(name) ?? this.#numbers.size;
      this.#numbers.set(name, number);
      totals[number]! += more;
    };
    for (const { info, evicted } of queues) {
      add(counters.arrived(info.name), this.arrived(info.name));
      add(counters.finished(info.name), info.processed - info.failed);
      add(counters.lost(info.name), evicted[lostCause] ?? 0);
    }
    for (const { type, outcome, count } of types ?? []) {
      if (!attempted.has(outcome)) continue;
      add(counters.type(type, "all"), count);
      if (outcome !== "completed") add(counters.type(type, "failed"), count);
    }
    // Also of one that is away, or is no master now: when it comes back, what it deleted long ago is no news.
    for (const [node, { total }] of this.#evicted) add(counters.evicted(node), total);
    return totals.slice(0, this.#numbers.size);
  }

  /** Those of queues that went long ago are in no sample any more: they make room, now and then. */
  #forgetCounters(): void {
    if (this.#numbers.size <= this.#mostNumbers) return;
    const kept = [...this.#numbers].filter(([, number]) => this.#samples.some(({ totals }) => totals[number]! > 0));
    for (const [at, { atMs, totals }] of this.#samples.entries())
      this.#samples[at] = { atMs, totals: Float64Array.from(kept, ([, number]) => totals[number] ?? 0) };
    this.#last = this.#samples.at(-1)!.totals;
    this.#numbers = new Map(kept.map(([name], number) => [name, number]));
    this.#mostNumbers = 2 * kept.length + 1_000;
  }

  #forgetQueues({ queues }: Facts): void {
    if (this.#archived.size <= queues.length) return;
    const there = new Set(queues.map(({ info }) => info.name));
    for (const name of this.#archived.keys()) {
      if (there.has(name)) continue;
      this.#archived.delete(name);
      this.#arrived.delete(name);
    }
  }
}

/** Their names in a trail. */
export const counters = {
  arrived: (queue: string) => `arrived ${queue}`,
  finished: (queue: string) => `finished ${queue}`,
  lost: (queue: string) => `lost ${queue}`,
  evicted: (node: string) => `evicted ${node}`,
  type: (type: string, of: "failed" | "all") => `type ${of} ${type}`,
};

/** What a handler ended with; a task that was given back, or forgotten on purpose, is none of them. */
const attempted: ReadonlySet<string> = new Set(["completed", "retry", "archived"]);
