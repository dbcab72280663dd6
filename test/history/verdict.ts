/** The invariants; docs/operate/chaos.md says what each means. */
export type Invariant =
  | "lost"
  | "unexpected"
  | "rerun"
  | "duplicate"
  | "overlap"
  | "stale-write"
  | "places"
  | "retries"
  | "early"
  | "unique"
  | "order"
  | "payload"
  | "unsettled-call"
  | "memory"
  | "flaps"
  | "counters"
  | "endless"
  | "slow"
  | "besides";

export interface Violation {
  readonly invariant: Invariant;
  readonly what: string;
  /** What in the history shows it. */
  readonly evidence: readonly unknown[];
}

export interface Verdict {
  readonly violations: readonly Violation[];
  readonly counts: {
    readonly invoked: number;
    readonly accepted: number;
    readonly spooled: number;
    readonly rejected: number;
    readonly unknown: number;
    /** Of those whose call had no certain end: how many there were after all. */
    readonly recovered: number;
    readonly runs: number;
    readonly done: number;
    readonly lost: number;
  };
  /** Second runs beyond counted retries, by their cause. */
  readonly duplicates: Readonly<Record<string, number>>;
}

export const violation = (invariant: Invariant, what: string, ...evidence: readonly unknown[]): Violation => ({
  invariant,
  what,
  evidence,
});

export type Found = readonly Violation[];
