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
  /** Its last failure. Of a dead letter that a Go program wrote: what can be inferred. */
  readonly failure: Failure | undefined;
  /** Earlier failures, the newest last; at most 10, and 16 KiB. Read with one task, not with a list. */
  readonly history?: readonly Failure[];
  /** When it was enqueued, Unix ms: ids made by Holdfast say so, others do not. */
  readonly enqueuedAtMs?: number | undefined;
  /** The trace that it belongs to, by its header `traceparent`. */
  readonly traceId?: string | undefined;
  /** What its handler reported last, while it runs: JSON. */
  readonly progress?: unknown;
  /** How often a worker died while it ran this task. */
  readonly crashes: number;
  /** Of a dead letter: somebody looks after it. */
  readonly acknowledged?: Mark | undefined;
  /** Somebody put it into quarantine: it is run one by one alone. */
  readonly quarantined?: Mark | undefined;
  /** It has been in the trash. */
  readonly restored?: Mark | undefined;
  /** Tasks that were made of it, with another payload mostly; at most 50, the newest last. */
  readonly copies?: readonly TaskCopy[] | undefined;
}

/** Who did it, when and why. */
export interface Mark {
  readonly atMs: number;
  readonly actor: string;
  /** "" where none was given. */
  readonly reason: string;
}

export interface TaskCopy extends Mark {
  readonly queue: string;
  readonly id: string;
}

/** One queue, as one may look at it. */
export interface QueueInfo {
  readonly name: string;
  readonly paused: boolean;
  /** Since when, and, where it was Holdfast that paused it, who did and why. */
  readonly pause?: { readonly atMs: number; readonly actor?: string; readonly reason?: string } | undefined;
  /** How many tasks are in each state; `archived` counts all dead letters, wherever they are kept. */
  readonly counts: Readonly<Record<TaskState, number>>;
  /** All-time totals; `processed` includes the failures. */
  readonly processed: number;
  readonly failed: number;
  /** How long the next task to run has been waiting, ms; 0 when none waits. */
  readonly latencyMs: number;
  /**
   * By state the earliest time there is, Unix ms: pending since, the first lease to end (active), the next due (scheduled,
   * retry), the oldest dead letter, the next to expire (completed).
   */
  readonly earliestAtMs?: Readonly<Partial<Record<TaskState, number>>>;
}

/** What a queue did on one day (UTC); `processed` includes the failures. */
export interface DayStats {
  /** "2026-11-22" */
  readonly day: string;
  readonly processed: number;
  readonly failed: number;
}

/** A worker process, of Holdfast or of another program on the same storage. */
export interface WorkerInfo {
  /** "host:pid:uuid" */
  readonly id: string;
  readonly host: string;
  readonly pid: number;
  readonly concurrency: number;
  /** Weight by queue. */
  readonly queues: Readonly<Record<string, number>>;
  readonly strictPriority: boolean;
  readonly status: "active" | "stopped";
  readonly startedAtMs: number;
  readonly running: readonly RunningTask[];
}

/** A task that a worker runs now. */
export interface RunningTask {
  readonly queue: string;
  readonly id: string;
  readonly type: string;
  /** `undefined` where it has more than 4 KB. */
  readonly payload: Uint8Array | undefined;
  readonly startedAtMs: number;
  /** When its time is up, Unix ms. */
  readonly limitAtMs: number;
}

/**
 * What storage says of itself: a node for each server, each with its own words ("redis_version" …), and on Redis the user
 * that it knows us as ("acl_user").
 */
export interface StorageInfo {
  readonly kind: "redis" | "embedded";
  readonly nodes: readonly {
    readonly label: string;
    readonly fields: Readonly<Record<string, string>>;
    /** Why a node of a Cluster could not be asked: nothing is known of it then. */
    readonly problem?: string;
  }[];
}

/** Some tasks of one queue: these ids, or all of a state. */
export type Selection =
  | { readonly queue: string; readonly ids: readonly string[] }
  | { readonly queue: string; readonly state: TaskState; readonly type?: string; readonly group?: string };

/** A page follows the cursor or, `backwards`, comes before it; either way its items are in the list's own order. */
export interface PageRequest {
  readonly limit: number;
  /** Default: the list's beginning or, backwards, its end. */
  readonly cursor?: string | undefined;
  readonly backwards?: boolean;
}

export interface Page<T> {
  readonly items: readonly T[];
  /** The cursor of what follows; `undefined` at the end. */
  readonly next: string | undefined;
  /** The cursor, to be used backwards, of what comes before; `undefined` at the beginning. */
  readonly previous?: string | undefined;
}
