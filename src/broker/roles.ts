import type { DayStats, Selection, StorageInfo, WorkerInfo } from "../core/info.js";
import type { NewTask } from "../core/message.js";
import type { WorkerList } from "../core/worker-list.js";
import type { Cancellation, LeasedTask, LeaseRequest, SettleReceipt, TaskRef } from "./lease.js";

/**
 * What an engine does beyond tasks on their way: steering, looking further, signals. Grouping and limiting come with the
 * features that need them; their shape is settled, so that the contract will not have to change for them (test/types
 * writes them against it).
 */

/** Who does it, why, and under which request: kept with each act. */
export interface Act {
  readonly actor: string;
  readonly reason: string;
  readonly requestId: string;
}

/** What an operator may do to tasks and queues. Every script is bounded by `limit`; callers call again. */
export interface Steering {
  /**
   * To `pending` ("run"), `archived` or `deleted`, from whatever state but `active`. A task that is run has at least
   * `attempts` more runs (default 1) before it is a dead letter: its maxRetry is raised where it must be. Deleting
   * releases the task's unique lock. By state, each call looks at no more than `limit` tasks, also where a type or group
   * leaves some of them where they are; `cursor` is that of the last receipt. Scheduled and retry go on behind it: a task
   * that comes back meanwhile, due sooner than the others, does not take their place.
   */
  move(
    selection: MoveSelection,
    to: MoveTarget,
    by: Act,
    options: { readonly limit: number; readonly attempts?: number; readonly cursor?: string | undefined },
    nowMs: number,
  ): Promise<MoveReceipt>;
  /** Of a task that is pending, scheduled or in retry; a unique lock moves with the payload it stands for. */
  updatePayload(task: TaskRef, payload: Uint8Array, by: Act, nowMs: number): Promise<UpdateReceipt>;
  /** A paused queue takes tasks, but none is leased from it. One receipt a queue, in order. */
  setPaused(queues: readonly string[], paused: boolean, by: Act, nowMs: number): Promise<PauseReceipt[]>;
  /**
   * Remove a queue with all that belongs to it, no more than `limit` tasks a call. Without `force` only when it holds no
   * task; never while one is active. Between the calls of one drop the queue is paused.
   */
  dropQueue(
    queue: string,
    options: { readonly force: boolean; readonly limit: number },
    by: Act,
    nowMs: number,
  ): Promise<DropReceipt>;
  /**
   * Ask the worker that runs a task to abort it: to be tried again as after a failure (`retry`), or archived at once. The
   * wish stays with the task until it is settled; a signal that is lost costs the time to the next renewal of its lease.
   */
  cancel(tasks: readonly TaskRef[], how: Cancellation, by: Act, nowMs: number): Promise<CancelReceipt[]>;
}

export type MoveTarget = "pending" | "archived" | "deleted";

/** These ids, or what comes first of a state; of all groups where none is named. By type: page with `list`, then by ids. */
export type MoveSelection = Selection & { readonly type?: never };

/**
 * By ids: one receipt an id, in order. By state: how many moved, how many entries were no task and were set aside, and
 * whether there is more: `cursor` is undefined at the end. What has moved has left the state, so the next call goes on by
 * itself.
 */
export type MoveReceipt =
  | { readonly receipts: readonly ("moved" | "notFound" | "wrongState")[] }
  | { readonly moved: number; readonly skipped: number; readonly cursor: string | undefined };

/** `duplicate`: another task holds the unique lock of the new payload. */
export type UpdateReceipt = "updated" | "notFound" | "wrongState" | "duplicate";
export type PauseReceipt = "changed" | "unchanged" | "notFound";
export type DropReceipt = "dropped" | "more" | "notFound" | "notEmpty" | "active";
export type CancelReceipt = "requested" | "notActive" | "notFound";

/** What one may look at beyond `Looking`. */
export interface Inspecting {
  /** Estimated bytes that each queue takes in storage, from a bounded sample. */
  memory(queues: readonly string[]): Promise<number[]>;
  /** Per queue, the last `days` UTC days, today first. */
  history(queues: readonly string[], days: number, nowMs: number): Promise<DayStats[][]>;
  /** The groups of a queue that hold tasks. */
  groups(queue: string): Promise<{ readonly name: string; readonly count: number }[]>;
  /** Workers whose announcement is alive, those of other programs included. */
  workers(nowMs: number): Promise<WorkerInfo[]>;
  /** The same for who would rather hear of some than of none, as `queuesThere`. Absent where storage is one. */
  workersThere?(nowMs: number): Promise<WorkerList>;
  /** What storage says of itself. */
  storage(): Promise<StorageInfo>;
}

export type Signal =
  /** The id alone: ids are unique per queue, so ask `cancellations` which of one's tasks are meant. */
  | { readonly kind: "cancel"; readonly id: string }
  /** There may be something to lease in this queue; undefined: in any. */
  | { readonly kind: "wake"; readonly queue: string | undefined };

export interface Signalling {
  /** This worker lives, and runs these tasks. Answers which of its queues live workers of other programs serve, too. */
  announce(worker: WorkerInfo, ttlMs: number, nowMs: number): Promise<{ readonly shared: readonly string[] }>;
  withdraw(worker: WorkerInfo): Promise<void>;
  /**
   * Hear of tasks that come to these queues, whoever put them there, and of cancelled ones. Lasts until disposed: a lost
   * connection is mended, and a wake for any queue follows, for what happened meanwhile is not known.
   */
  subscribe(queues: readonly string[], listener: (signal: Signal) => void): Promise<Subscription>;
  /** What was asked for of each; undefined where nothing was, or by a program that only sends the signal. */
  cancellations(tasks: readonly TaskRef[]): Promise<(Cancellation | undefined)[]>;
}

export interface Subscription extends AsyncDisposable {
  /** Whether wakes are heard at present. Where they are not (an outage, a user without the right), look by yourself. */
  readonly listening: boolean;
  /**
   * On (as it is at first): there is at most one wake for a queue, until this is called again. So after a wake look until
   * nothing is there, then switch it on again: what has come in the meantime is told. Off while the worker is busy, for
   * then it looks by itself.
   */
  watch(on: boolean): void;
}

export interface Grouping {
  leaseGroups(
    request: LeaseRequest & { readonly maxSize: number; readonly graceMs: number },
    nowMs: number,
  ): Promise<LeasedTask[][]>;
  merge(
    groups: readonly { readonly tasks: readonly LeasedTask[]; readonly into: NewTask }[],
    nowMs: number,
  ): Promise<SettleReceipt[]>;
}

/** Rate limits: what is over the limit is parked in scheduled at its granted time, no retry burnt. */
export interface Limiting {
  reserve(
    tasks: readonly LeasedTask[],
    limit: { readonly key: string; readonly perSecond: number; readonly burst: number },
    nowMs: number,
  ): Promise<Grant[]>;
}
export type Grant = { readonly granted: true } | { readonly granted: false; readonly atMs: number };
