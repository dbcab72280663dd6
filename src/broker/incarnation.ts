/**
 * Which data a queue is on. A server that answers has taken a task; whether it still has it after a restart, a failover or
 * a split brain is another matter. Whatever changes the incarnation may have lost what was acknowledged before.
 */
export interface Incarnation {
  /**
   * Compared as a whole. A single server: its run id and replication id. Behind Sentinels also address and epoch, as a
   * majority of them says. On a Cluster the owner of the queue's slot and its epoch, as a majority of masters says.
   */
  readonly id: string;
  /** What this server's own restart leaves: all but the last second or less, what was saved last, or nothing. */
  readonly persistence: "aof" | "snapshot" | "none";
  /** What came before this time (the storage's clock, Unix ms) is in its last snapshot; undefined where none was seen. */
  readonly savedUntilMs?: number | undefined;
  /** Where a replica may take over; undefined where there is none. */
  readonly replicas?:
    | {
        /**
         * What was answered before this time (`performance.now()`: it never jumps) all that follow have; undefined: none
         * has followed.
         */
        readonly haveUntilMs: number | undefined;
        /** So long after it was written a replica that lacks it is not made the master any more, ms. */
        readonly aloneAfterMs: number;
      }
    | undefined;
}

/** Data that storage had and has no more. */
export interface DataLoss {
  readonly problem: string;
  /** What it had taken before this time it still has, Unix ms; undefined: nothing is sure. */
  readonly keptUntilMs: number | undefined;
}

export interface Identifying {
  /**
   * One for each queue; undefined where it cannot be told at present (no majority, a failover under way, the wrong role):
   * then nothing that was sent there is to be relied upon.
   * @throws BROKER_UNAVAILABLE; BROKER_INCOMPATIBLE where this server never tells
   */
  incarnations(queues: readonly string[], withinMs: number): Promise<(Incarnation | undefined)[]>;
  /** How long an incarnation must have stayed the same before what it acknowledged is relied upon, ms. */
  readonly trustAfterMs: number;
}
