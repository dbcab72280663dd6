import type { Act } from "./roles.js";
import type { StoredLetter } from "./stored-letter.js";

/**
 * Why a dead letter left storage without anybody running or discarding it: dropped, for it was too old (`age`) or there were
 * too many (`size`); or spilled into a file first, for the same reasons or by hand. Stored, and labels of a metric: names
 * are only ever added.
 */
export const evictionCauses = ["age", "size", "spilled_age", "spilled_size", "spilled_by_hand"] as const;
/** Of these, what nobody has any more though nothing was wrong with its age: there was no room for it. */
export const lostCause: EvictionCause = "size";
export type EvictionCause = (typeof evictionCauses)[number];

/** A dead letter as its caller has seen it: what has died anew since is another one. */
export type SeenLetter = Pick<StoredLetter, "id" | "archivedAtMs" | "message">;

/** `changed`: it has been run, and has died again, since it was seen. */
export type EvictionReceipt = "evicted" | "notFound" | "changed";

/** Dead letters leave storage by a policy, and none without being counted. */
export interface Eviction {
  /**
   * Delete dead letters of one queue, and release their unique locks: each counted by its cause, all recorded as one act
   * with their ids. One receipt a letter, in order.
   */
  evict(
    queue: string,
    letters: readonly SeenLetter[],
    cause: EvictionCause,
    by: Act,
    nowMs: number,
  ): Promise<EvictionReceipt[]>;
  /** What has been evicted of each queue since it came into being, by cause; in order. */
  evicted(queues: readonly string[]): Promise<Partial<Record<EvictionCause, number>>[]>;
  /** How many dead letters that are there died at or after each of these times, Unix ms; a list a queue, in order. */
  diedSince(queues: readonly string[], timesMs: readonly number[]): Promise<number[][]>;
  /** How many dead letters are where a Go program's own bounds delete them; a number a queue. 0 where no Go program can. */
  inReachOfGo(queues: readonly string[]): Promise<number[]>;
}
