import { type OutcomeCount, type OutcomeCounts, otherType } from "../broker/outcome-counts.js";
import type { Outcome } from "../core/outcome.js";

/** Kinds kept while storage is away: what comes beyond is counted as of another type. */
const maxKinds = 1_000;

type Kind = Omit<OutcomeCount, "count">;

/** What became of the attempts of a worker since it told storage last. */
export class OutcomeTally {
  #counts = new Map<string, { readonly kind: Kind; count: number }>();

  add(queue: string, type: string, outcome: Outcome): void {
    const reason = "failure" in outcome ? outcome.failure.reason : "";
    this.#put({ queue, type, outcome: outcome.kind, reason }, 1);
  }

  get isEmpty(): boolean {
    return this.#counts.size === 0;
  }

  /** Tells storage, and forgets it; what could not be told is kept for the next time. */
  async flush(store: OutcomeCounts): Promise<void> {
    const counts = [...this.#counts.values()];
    this.#counts = new Map();
    try {
      await store.countOutcomes(counts.map(({ kind, count }) => ({ ...kind, count })));
    } catch (error) {
      for (const { kind, count } of counts) this.#put(kind, count);
      throw error;
    }
  }

  #put(kind: Kind, count: number): void {
    const key = keyOf(kind);
    const counted = this.#counts.get(key);
    if (counted !== undefined) counted.count += count;
    else if (this.#counts.size < maxKinds || kind.type === otherType) this.#counts.set(key, { kind, count });
    else this.#put({ ...kind, type: otherType }, count);
  }
}

/** Only the type, which comes last, may hold a space. */
const keyOf = ({ queue, outcome, reason, type }: Kind) => `${queue} ${outcome} ${reason} ${type}`;
