/**
 * What became of attempts of one type in one queue, all-time: what a failing type is known by. Workers add to it every few
 * seconds, so it may lack the last of one that crashed; Go's workers are not in it.
 */
export interface OutcomeCount {
  readonly queue: string;
  readonly type: string;
  /** As of an Outcome: "completed", "retry", "archived", "revoked", "released". */
  readonly outcome: string;
  /** Why, of "retry" and "archived"; else "". */
  readonly reason: string;
  readonly count: number;
}

/** Kinds that a queue tells apart; what comes beyond is counted as of the type `otherType`. */
export const maxOutcomeKinds = 1_000;
export const otherType = "other";

export interface OutcomeCounts {
  /** Adds to what is there; nothing is told of what it comes to. */
  countOutcomes(counts: readonly OutcomeCount[]): Promise<void>;
  /** Of these queues, all that is known. */
  outcomeCounts(queues: readonly string[]): Promise<OutcomeCount[]>;
}
