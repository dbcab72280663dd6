import type { TaskRef } from "./lease.js";
import type { Act } from "./roles.js";

/** What is noted on dead letters themselves. */
export interface LetterMarks {
  /** Somebody looks after them, or (`on` false) does not any more. It holds until they die anew. One receipt an id, in order. */
  acknowledge(
    queue: string,
    ids: readonly string[],
    on: boolean,
    by: Act,
    nowMs: number,
  ): Promise<AcknowledgeReceipt[]>;
  /**
   * The oldest dead letter that nobody has acknowledged: of each queue at most `limit` are looked at, behind a place that an
   * answer gave. Answers in order; an unknown queue has none.
   */
  oldestUnacknowledged(from: readonly LettersFrom[], limit: number): Promise<OldestLetter[]>;
  /** To be run one by one alone, or (`on` false) not any more. It holds until it is taken back. One receipt an id, in order. */
  quarantine(queue: string, ids: readonly string[], on: boolean, by: Act, nowMs: number): Promise<QuarantineReceipt[]>;
  /**
   * Note that a copy is about to be made of a dead letter: one that was begun under the same request before is answered
   * instead. At most `maxCopies` are known of a task, the newest.
   */
  beginCopy(of: TaskRef, copy: NewCopy, by: Act, nowMs: number): Promise<CopyBegun>;
  /** Of the copy that was begun under this request: that it is there (`made`), or was not taken, which forgets it. */
  endCopy(of: TaskRef, made: boolean, by: Act, nowMs: number): Promise<void>;
}

export interface LettersFrom {
  readonly queue: string;
  /** Default: the oldest one. */
  readonly place?: string | undefined;
}

export interface OldestLetter {
  /** When it died, Unix ms; undefined where none was found among those that were looked at. */
  readonly atMs: number | undefined;
  /** Dead letters from there on, or that have not been looked at: so many are not acknowledged at the most. */
  readonly count: number;
  /** There may be an older one among those that have not been looked at. */
  readonly more: boolean;
  /** All up to here are acknowledged, or were when they were looked at. */
  readonly place: string | undefined;
}

export type AcknowledgeReceipt = "acknowledged" | "notFound" | "wrongState";

export type QuarantineReceipt = "marked" | "notFound" | "wrongState";

export const maxCopies = 50;

export interface NewCopy extends TaskRef {
  /** Tells one copy's payload and place from another's. */
  readonly digest: string;
}

export type CopyBegun =
  | { readonly status: "begun" | "notFound" | "wrongState" }
  | { readonly status: "known"; readonly copy: StoredCopy };

/** As it is stored. */
export interface StoredCopy extends NewCopy {
  readonly request: string;
  readonly at: number;
  readonly actor: string;
  readonly reason: string;
  /** Storage has taken it. */
  readonly done?: true;
}

/** What is stored of a copy. */
export const storedCopy = (
  { queue, id, digest }: NewCopy,
  { actor, reason, requestId }: Act,
  at: number,
): StoredCopy => ({
  queue,
  id,
  digest,
  request: requestId,
  at,
  actor,
  reason,
});
