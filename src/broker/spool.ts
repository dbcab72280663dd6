import type { NewTask } from "../core/message.js";
import type { EnqueueReceipt } from "./receipt.js";

/**
 * The durable local buffer of a process: a store of accepted tasks, in the order of acceptance. It keeps them until it is
 * told how each ended; it decides nothing. Tasks of processes that died are taken over (`adopted`), behind its own.
 */
export interface SpoolStore extends AsyncDisposable {
  /**
   * Resolves when all of them are durable on this machine, with the sequence of the last; else none is accepted.
   * @throws SPOOL_FULL SPOOL_FAILED CLOSED
   */
  append(tasks: readonly NewTask[], nowMs: number): Promise<number>;
  /** The next after that sequence (0: from the first), in order; fewer than `limit` also where they are large. */
  read(after: number, limit: number): Promise<readonly SpooledTask[]>;
  /** These leave the spool: storage has them for good, or has said why it never will. How each ended is kept a while. */
  release(ended: readonly { readonly sequence: number; readonly outcome: SpoolOutcome }[]): Promise<void>;
  /**
   * By the tasks' own ids (a duplicate's outcome has its holder's): `spooled` while the task is here, undefined for one
   * that this spool has never seen, or whose outcome it keeps no more.
   */
  outcomes(ids: readonly string[]): Promise<(SpoolOutcome | undefined)[]>;
  stats(): Promise<SpoolStats>;
  /** Called when tasks of a process that died have been taken over: they are to be read. */
  onAdopted(listener: (adopted: Adopted) => void): void;
  /** Called when a task cannot be read, as one of a later Holdfast: the store has parked it, and reading goes on behind it. */
  onUnreadable(listener: (task: Unreadable) => void): void;
  close(): Promise<void>;
}

export interface SpooledTask {
  /** Ascending within one store. */
  readonly sequence: number;
  readonly acceptedAtMs: number;
  /** Marked as a repeat: it may have reached storage before. */
  readonly task: NewTask;
}

export interface Adopted {
  readonly tasks: number;
  /** Those of the tasks; and the sequence of the last. */
  readonly queues: readonly string[];
  readonly last: number;
}

export interface Unreadable {
  readonly id: string;
  readonly problem: string;
}

/** What became of a task that went through the spool. */
export type SpoolOutcome =
  | EnqueueReceipt
  /** Storage refuses it for good; it stays in the spool's file, out of the others' way. */
  | { readonly status: "parked"; readonly id: string; readonly problem: string };

export interface SpoolStats {
  /** Accepted, not released; those that are parked are not among them. */
  readonly tasks: number;
  readonly bytes: number;
  readonly oldestAtMs: number | undefined;
  readonly parked: number;
  readonly maxBytes: number;
  readonly maxTasks: number;
}

/**
 * A broker's spool, as clients see it: accepts at once, delivers behind their backs, in order, and lets go of a task only
 * when the data that took it can be relied upon.
 */
export interface Spool extends AsyncDisposable {
  /** Receipts are `spooled`. @throws SPOOL_FULL SPOOL_FAILED CLOSED */
  accept(tasks: readonly NewTask[], nowMs: number): Promise<EnqueueReceipt[]>;
  /** Whether tasks of this queue wait to be delivered: what is enqueued later goes behind them. */
  holds(queue: string): boolean;
  /** The latest that is known of each: `spooled` while storage has not answered. */
  outcomes(ids: readonly string[]): Promise<(SpoolOutcome | undefined)[]>;
  stats(): Promise<SpoolStats>;
  /** Storage seems to be back: deliver now instead of at the next look. */
  nudge(): void;
  /** Have that told from now on how what is sent from here fares. Absent: it is told to nobody. */
  tell?(hearing: Hearing): void;
  /** What is not delivered stays on this machine, for the next process that opens the spool. */
  close(): Promise<void>;
}

/** Who knows how each part of storage is, by what calls to it tell. */
export interface Hearing {
  /** Make a call for so many tasks of this queue, and hear how it goes. */
  call<T>(queue: string, tasks: number, work: () => Promise<T>): Promise<T>;
  /** Something is wrong with the storage that has the queue, and nothing can be sent that would tell what. */
  doubt(queue: string): void;
  /** That storage is there, and in trouble: it is to be sent little at a time. */
  isDegraded(queue: string): boolean;
}
