import type { Selection } from "../core/info.js";
import type { NewTask } from "../core/message.js";
import type { LeasedTask, LeaseRequest, SettleReceipt, TaskRef } from "./broker.js";

/**
 * Roles that engines take on with the features that need them; their shape is settled so that the contract will not
 * have to change for them (test/types writes them against it).
 */

/** Who does it, why, and under which request: written into the audit log with each act. */
export interface Act {
  readonly actor: string;
  readonly reason: string;
  readonly requestId: string;
}

export interface Steering {
  move(
    selection: Selection,
    to: "pending" | "archived" | "deleted",
    by: Act,
    limit: number,
    nowMs: number,
  ): Promise<MoveReceipt>;
  setPaused(queues: readonly string[], paused: boolean, by: Act, nowMs: number): Promise<void>;
  dropQueue(queue: string, options: { readonly force: boolean }, by: Act, nowMs: number): Promise<void>;
}

/** By ids: one receipt an id, in order. By state: how many, and where to go on. */
export type MoveReceipt =
  | { readonly receipts: readonly ("moved" | "notFound" | "wrongState")[] }
  | { readonly moved: number; readonly skipped: number; readonly cursor: string | undefined };

export type Signal =
  | { readonly kind: "cancel"; readonly task: TaskRef }
  | { readonly kind: "wake"; readonly queue: string };

export interface Signalling {
  announce(worker: WorkerInfo, ttlMs: number): Promise<void>;
  withdraw(workerId: string): Promise<void>;
  publish(signal: Signal): Promise<void>;
  subscribe(queues: readonly string[], listener: (signal: Signal) => void): Promise<AsyncDisposable>;
}

/** A worker process. */
export interface WorkerInfo {
  readonly id: string;
  readonly host: string;
  readonly pid: number;
  readonly concurrency: number;
  readonly queues: Readonly<Record<string, number>>;
  readonly startedAtMs: number;
  readonly running: number;
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
