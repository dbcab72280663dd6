import type { TaskMessage } from "../core/message.js";

export interface TaskRef {
  readonly queue: string;
  readonly id: string;
}

export interface LeaseRequest {
  /** Who asks: a worker's id and, where it has several turns under way at once, which of them. */
  readonly workerId: string;
  /** Unique per request; becomes the token of the leases it gets. */
  readonly requestId: string;
  /** In the order in which to look. */
  readonly queues: readonly string[];
  /** At most so many. An engine may give fewer though more are waiting, to bound one answer (500 tasks, or some MiB). */
  readonly limit: number;
  /** A shorter one than `minLeaseMs` is made that long. */
  readonly leaseMs: number;
  /**
   * So many of them start at once (default: all), the rest are leased ahead and wait: no crash suspect is among those,
   * and no task that must not be started twice.
   */
  readonly startable?: number;
  /** At most so many from these queues. */
  readonly limits?: Readonly<Record<string, number>>;
  /** At most so many of them may be crash suspects (tasks whose worker died): 0 while one is running. */
  readonly suspects: number;
}

/** The right to run one task until `untilMs`. A new token each time the task is leased. */
export interface Lease extends TaskRef {
  readonly token: string;
  readonly untilMs: number;
}

export interface LeasedTask {
  readonly message: TaskMessage;
  readonly lease: Lease;
  /** How often a worker died while it ran this task. */
  readonly crashes: number;
  /** How often it was given back without a counted failure. */
  readonly returns: number;
  /** Once started, it must not be started again. */
  readonly atMostOnce: boolean;
  /** It came through a spool: so long after it has finished its enqueue may be repeated, ms. */
  readonly spooled?: number;
}

/**
 * `leaseLost`: nothing was written, for the task is no longer ours (or an earlier try of this settlement was carried out).
 * `unavailable`: the part of storage that has this task did not answer while others did. It may have been carried out; it
 * is to be settled again, in another turn.
 */
export type SettleReceipt = "settled" | "leaseLost" | "unavailable";

/**
 * What is known of a settlement in the end. `presumed`: a first try had no answer, and the next found the lease gone. Most
 * likely the first was carried out; if it was not, the task runs, or has run, elsewhere.
 */
export type Confirmation = "settled" | "presumed" | "leaseLost";

/** A cancelled task is tried again as after a failure, or archived at once. */
export type Cancellation = "retry" | "archive";

export type LostLease = Pick<Lease, "queue" | "id" | "token">;
