import { type OutcomeCount, type OutcomeCounts, otherType } from "../broker/outcome-counts.js";
import type { Outcome } from "../core/outcome.js";

/** Kinds kept while storage is away: what comes beyond is counted as of another type. */
const maxKinds = 1_000;

/** What became of the attempts of a worker since it told storage last. */
export class OutcomeTally {
  #counts = new Map<string, OutcomeCount>();

  add(queue: string, type: string, outcome: Outcome, count = 1): void {
    const reason = "failure" in outcome ? outcome.failure.reason : "";
    this.#put({ queue, type, outcome: outcome.kind, reason, count });
  }

  get isEmpty(): boolean {
    return this.#counts.size === 0;
  }

  /** Tells storage, and forgets it; what could not be told is kept for the next time. */
  async flush(store: OutcomeCounts): Promise<void> {
    const counts = [...this.#counts.values()];
    this.#counts = new Map();
    try {
      await store.countOutcomes(counts);
    } catch (error) {
      for (const one of counts) this.#put(one);
      throw error;
    }
  }

  #put(one: OutcomeCount): void {
    const { queue, outcome, reason } = one;
    const key = JSON.stringify([queue, one.type, outcome, reason]);
    const known = this.#counts.has(key) || this.#counts.size < maxKinds;
    const kept = known ? one : { ...one, type: otherType };
    const keptKey = known ? key : JSON.stringify([queue, otherType, outcome, reason]);
    this.#counts.set(keptKey, { ...kept, count: (this.#counts.get(keptKey)?.count ?? 0) + one.count });
  }
}
