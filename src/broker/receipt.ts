import type { TaskState } from "../core/state.js";

/** What became of an enqueue. */
export type EnqueueReceipt =
  | { readonly status: "enqueued"; readonly id: string; readonly state: TaskState }
  /** Durable on this machine, storage has not confirmed it yet. */
  | { readonly status: "spooled"; readonly id: string }
  /** Not taken: the task with this id holds the unique lock. */
  | { readonly status: "duplicate"; readonly id: string }
  /** Not taken: another task has this id. */
  | { readonly status: "idTaken"; readonly id: string };
