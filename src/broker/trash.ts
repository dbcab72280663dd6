import type { Mark, Page, PageRequest, TaskInfo } from "../core/info.js";
import type { Act } from "./roles.js";

/** Dead letters that somebody discarded: kept for a while, so that they can come back. */
export interface Trash {
  /**
   * Into the trash of their queue until `untilMs`; maintenance deletes them after it. Their unique locks are released. One
   * receipt an id, in order.
   */
  discard(queue: string, ids: readonly string[], untilMs: number, by: Act, nowMs: number): Promise<DiscardReceipt[]>;
  /**
   * Back among the dead letters, with their failure and as old as they were. A unique lock that would still hold is taken
   * again.
   */
  restore(queue: string, ids: readonly string[], by: Act, nowMs: number): Promise<RestoreReceipt[]>;
  /** Out of the trash, for good. */
  purge(queue: string, ids: readonly string[], by: Act, nowMs: number): Promise<PurgeReceipt[]>;
  /** What the trash of a queue holds, what goes first first. */
  listTrash(queue: string, page: PageRequest): Promise<Page<DiscardedTask>>;
}

/** `idTaken`: the trash holds another task of that id. */
export type DiscardReceipt = "discarded" | "notFound" | "wrongState" | "idTaken";
/** `withoutLock`: restored, but another task has its unique lock. `idTaken`: there is a task of that id by now. */
export type RestoreReceipt = "restored" | "withoutLock" | "notFound" | "idTaken";
export type PurgeReceipt = "purged" | "notFound";

/** A task in the trash. */
export interface DiscardedTask {
  /** As it was when it was discarded. */
  readonly task: TaskInfo;
  readonly discarded: Mark;
  /** When it is deleted, Unix ms. */
  readonly untilMs: number;
}
