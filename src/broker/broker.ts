import type { AuditStore } from "./audit.js";
import type { Clock } from "../core/clock.js";
import type { Page, PageRequest, QueueInfo, Selection, TaskInfo } from "../core/info.js";
import type { NewTask } from "../core/message.js";
import type { QueueList } from "../core/queue-list.js";
import type { DeadLetterStore } from "./dead-letters.js";
import type { OutageStore, Tallied } from "./outage.js";
import type { Outcome } from "../core/outcome.js";
import type { Identifying } from "./incarnation.js";
import type { Remembering } from "./effects.js";
import type { Cancellation, Lease, LeasedTask, LeaseRequest, LostLease, SettleReceipt, TaskRef } from "./lease.js";
import type { EnqueueReceipt } from "./receipt.js";
import type { Inspecting, Signalling, Steering } from "./roles.js";
import type { Spool } from "./spool.js";
import type { Standstills } from "./standstill.js";

export type {
  Cancellation,
  Confirmation,
  Lease,
  LeasedTask,
  LeaseRequest,
  LostLease,
  SettleReceipt,
  TaskRef,
} from "./lease.js";
export type { EnqueueReceipt } from "./receipt.js";

/**
 * The contract of a storage engine. It makes eight promises, each a file in test/contract, run against every engine:
 *
 * 1. Answers in order: a list in, a list out, same length and order, whatever the queues.
 * 2. Each, not all: every element is atomic, the batch is not; one bad element spoils nothing.
 * 3. One place: a task is in exactly one state, and makes only the moves of core/state.ts.
 * 4. Tokens fence: only the holder of the present lease settles or renews; a late worker hears `leaseLost`.
 * 5. Time is an argument: nothing decides by its own clock (asynq's unique lock is the one exception: it is a TTL).
 * 6. Bounded: nothing works on more than `limit` tasks; callers call again.
 * 7. Waking is a hint: a lost signal costs latency, never a task.
 * 8. Expected is a receipt, unexpected is thrown: BROKER_UNAVAILABLE, BROKER_FAILED, BROKER_INCOMPATIBLE or CLOSED.
 *
 * All times are Unix ms. Storage keeps whole seconds: times to come are rounded up, `nowMs` is rounded down.
 * What operators do and see, and signals, are in roles.ts, what handlers had done once is in effects.ts, work on dead letters
 * in dead-letters.ts; the spool's contract is in spool.ts.
 */
export interface Broker
  extends
    Producing,
    Gauging,
    Identifying,
    Working,
    Remembering,
    Maintaining,
    Looking,
    Steering,
    Inspecting,
    Signalling,
    Partial<OutageStore>,
    AsyncDisposable {
  /** Which storage, for logs and errors: never holds a password. */
  readonly label: string;
  /** The clock that callers take `nowMs` from; an engine keeps it in step with its storage. */
  readonly clock: Clock;
  /** What was done by hand. */
  readonly audit: AuditStore;
  /** Where there are replicas that may take over, so that one can work on storage. */
  readonly standstills?: Standstills | undefined;
  /** Where dead letters are worked on. */
  readonly deadLetters?: DeadLetterStore | undefined;
  /** Let go of everything. What is under way is finished first; afterwards every call throws CLOSED. */
  close(): Promise<void>;
}

export interface Producing {
  readonly label: string;
  readonly clock: Clock;
  /** Where outages are recorded: who enqueues counts there what it hears. */
  readonly tally?: Tallied | undefined;
  /** Where the broker was opened with one. */
  readonly spool?: Spool | undefined;
  /**
   * Put tasks where they belong (pending, or scheduled). A failure names the ids it concerns, and has the outcome
   * `unknown` when some of them may be in. `withinMs` is the longest that the caller will wait.
   */
  enqueue(tasks: readonly NewTask[], nowMs: number, withinMs?: number): Promise<EnqueueReceipt[]>;
  /**
   * The same, and storage has confirmed the tasks beyond its answer. When that does not come in time the error has the
   * outcome `unknown` and says who did (`acknowledged`): the tasks are in. Absent where there is nothing to confirm.
   * @throws BROKER_INCOMPATIBLE where storage cannot confirm it, with what it needs
   */
  enqueueAssured?(
    tasks: readonly NewTask[],
    nowMs: number,
    withinMs: number,
    assurance: Assurance,
  ): Promise<EnqueueReceipt[]>;
  /**
   * Storage in parts that go away by themselves (a Cluster): a name for the part that has the queue, as far as it is
   * known without asking. Absent, or undefined: one for all.
   */
  shardOf?(queue: string): string | undefined;
  /**
   * Resolves when storage answers and can be used; with a queue, the part of it that has the queue.
   * @throws BROKER_UNAVAILABLE BROKER_INCOMPATIBLE CLOSED
   */
  ping(queue?: string): Promise<void>;
  /**
   * Resolves when the storage that has the queue takes what is sent: writes something there that goes away by itself. Absent
   * where a ping tells as much. `withinMs` as above.
   * @throws as `ping`
   */
  probe?(queue: string, withinMs?: number): Promise<void>;
}

/** What has to have a task before it is accepted. */
export interface Assurance {
  /** In their memory, or fsynced on the master and on them. */
  readonly of: "replicas" | "fsync";
  /** All replicas that the master has, and at least this many. */
  readonly replicas: number;
}

export interface Gauging {
  /** How many tasks are pending in each queue; cheap, for producers look at it again and again. */
  pending(queues: readonly string[], withinMs?: number): Promise<number[]>;
}

export interface Working {
  readonly label: string;
  readonly clock: Clock;
  /**
   * The verb of the hot path: settle what is finished and lease what comes next, in one round trip. After a failure
   * with outcome `unknown` the same turn is to be sent again: settling is fenced, and a lease with the same `requestId`
   * gets the same tasks. Storage of several parts answers for those that are there: what belongs to another one is
   * `unavailable`, and nothing is leased from it.
   */
  exchange(turn: Turn, nowMs: number): Promise<TurnReply>;
  /** Leases that ran out: back to the front of pending, counted as a crash; archived past the bound of crashes. */
  reclaim(queues: readonly string[], limit: number, nowMs: number): Promise<ReclaimReceipt[]>;
  /** What handlers report of the tasks they run, as JSON. Nothing is written for a lease that is not held any more. */
  report(progress: readonly Progress[]): Promise<void>;
  /** Renews leases off the main thread, so that a handler which blocks the event loop keeps its task. */
  keeper(options: KeeperOptions): LeaseKeeper;
}

export interface Maintaining {
  /** What is due moves from scheduled and retry to pending; the answer says when the next one is due. */
  promote(queues: readonly string[], limit: number, nowMs: number): Promise<Promotion>;
  /**
   * Completed tasks past their retention are deleted; dead letters past asynq's bounds are moved out of its reach. The
   * answer is how many of both: with `limit` of them there may be more.
   */
  prune(queues: readonly string[], limit: number, nowMs: number): Promise<number>;
}

export interface Looking {
  /** By name: all there are, or those of `names` that there are. */
  queues(nowMs: number, names?: readonly string[]): Promise<QueueInfo[]>;
  /**
   * The same for who would rather hear of some than of none: storage in several parts tells of the queues of those that
   * answer, and which others there are. Absent where storage is one.
   */
  queuesThere?(nowMs: number, names?: readonly string[]): Promise<QueueList>;
  find(refs: readonly TaskRef[]): Promise<(TaskInfo | undefined)[]>;
  /** Pending in the order of running, the others by time. @throws QUEUE_NOT_FOUND never: an unknown queue is empty */
  list(selection: Selection, page: PageRequest): Promise<Page<TaskInfo>>;
}

export interface Turn {
  readonly settle: readonly Settlement[];
  readonly lease?: LeaseRequest | undefined;
}

export interface TurnReply {
  readonly settled: SettleReceipt[];
  readonly leased: LeasedTask[];
  /** Fewer were leased than asked for and there, for a bound was met or tasks were set aside: ask again at once. */
  readonly more: boolean;
  /** Of the queues asked for, those of which is known that they have nothing more to lease. */
  readonly dry: readonly string[];
  /** Of the queues asked for, those that are paused. */
  readonly paused: readonly string[];
}

export interface Settlement {
  readonly task: LeasedTask;
  readonly outcome: Outcome;
}

export interface Progress {
  readonly lease: Lease;
  readonly bytes: Uint8Array;
}

export interface ReclaimReceipt extends TaskRef {
  readonly to: "pending" | "archived";
  readonly crashes: number;
}

export interface Promotion {
  readonly moved: number;
  /** `undefined` when nothing is scheduled or waits for a retry. */
  readonly nextDueMs: number | undefined;
}

export interface KeeperOptions {
  readonly leaseMs: number;
  /** These leases are gone: abort their handlers. */
  readonly onLost: (leases: readonly LostLease[]) => void;
  /** Somebody asked for these to be aborted; told with each renewal until they are settled. */
  readonly onCancelled?: (leases: readonly (LostLease & { readonly how: Cancellation })[]) => void;
  readonly onError: (error: unknown) => void;
}

export interface HeldLease {
  readonly lease: Lease;
  /** The lease is not renewed past this time (the task's timeout plus the abort grace), Unix ms. */
  readonly renewUntilMs: number;
}

export interface LeaseKeeper {
  /** A lease that is held already is held anew: `renewUntilMs` may change. */
  hold(leases: readonly HeldLease[]): void;
  drop(leases: readonly Lease[]): void;
  close(): Promise<void>;
}

/** A task of which a worker died this often is quarantined: archived, and not run again by itself. */
export const maxCrashes = 3;
/** Shortest lease. */
export const minLeaseMs = 5_000;
/** A Go worker's lease is left alone for this long after it ran out, for that worker's clock may be wrong. */
export const foreignGraceMs = 30_000;
/** asynq's archive keeps at most this many of ours; a Go peer's trim deletes beyond 9,999. Older ones move aside. */
export const archiveKeep = 5_000;
/** … and nothing older than this; a Go peer deletes past 90 days. */
export const archiveKeepMs = 80 * 86_400_000;
/** How long after it was made a repeated enqueue of a finished task is still recognised. */
export const repeatHorizonMs = 60_000;
/** A spool could not send a task again while storage was away: so much longer than it holds the task its id is remembered. */
export const replayMarginMs = 900_000;
