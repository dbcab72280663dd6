import type { TaskMessage } from "./message.js";
import type { Failure } from "./outcome.js";
import type { TaskState } from "./state.js";

/** One task, as one may look at it. */
export interface TaskInfo {
  readonly id: string;
  readonly queue: string;
  readonly state: TaskState;
  /** `undefined` when the stored message cannot be decoded; `bytes` are what is stored either way. */
  readonly message: TaskMessage | undefined;
  readonly bytes: Uint8Array;
  /** When it moves on, Unix ms: the time to process (scheduled, retry), to expire (completed); else undefined. */
  readonly dueAtMs: number | undefined;
  /** When it became a dead letter, Unix ms. */
  readonly archivedAtMs: number | undefined;
  readonly result: Uint8Array | undefined;
  readonly failure: Failure | undefined;
  /** How often a worker died while it ran this task. */
  readonly crashes: number;
}

/** One queue, as one may look at it. */
export interface QueueInfo {
  readonly name: string;
  readonly paused: boolean;
  /** How many tasks are in each state; `archived` counts all dead letters, wherever they are kept. */
  readonly counts: Readonly<Record<TaskState, number>>;
  /** All-time totals; `processed` includes the failures. */
  readonly processed: number;
  readonly failed: number;
  /** How long the next task to run has been waiting, ms; 0 when none waits. */
  readonly latencyMs: number;
}

/** Some tasks of one queue: these ids, or all of a state. */
export type Selection =
  | { readonly queue: string; readonly ids: readonly string[] }
  | { readonly queue: string; readonly state: TaskState; readonly type?: string; readonly group?: string };

export interface Page<T> {
  readonly items: readonly T[];
  /** Give it as `after` to get what follows; `undefined` at the end. */
  readonly next: string | undefined;
}
