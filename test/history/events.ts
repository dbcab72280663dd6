/**
 * What producers, workers and the supervisor of a chaos run write down, each into a file of its own, outside storage: a
 * JSON object a line. `at` is the machine's monotonic clock in ms, which all its processes share and no fault moves.
 */
export type Event = { readonly at: number; readonly by: string } & (
  | Invoke
  /** The id of the receipt: of a duplicate the other task's. */
  | { readonly e: "accepted"; readonly k: string; readonly id: string; readonly how: Acceptance }
  /** Certainly not taken. */
  | { readonly e: "rejected"; readonly k: string; readonly code: string }
  | { readonly e: "unknown"; readonly k: string }
  | Start
  | { readonly e: "finish"; readonly k: string; readonly run: string; readonly how: "done" | "failed" | "skipped" }
  | {
      readonly e: "settled";
      readonly id: string;
      /** Where the worker knows it: histories that are judged in parts are parted by it. */
      readonly k?: string | undefined;
      readonly outcome: "completed" | "retry" | "archived" | "revoked" | "released";
      readonly receipt: "settled" | "presumed" | "leaseLost";
    }
  | { readonly e: "leaseLost"; readonly id: string; readonly k?: string | undefined }
  /** A process has told of this, as it told the program it is part of. */
  | { readonly e: "alarm"; readonly event: string }
  | { readonly e: "process"; readonly name: string; readonly what: ProcessEvent }
  /** `calm`: the fault is over, and what it left behind is, too. */
  | { readonly e: "fault"; readonly fault: string; readonly what: "on" | "off" | "calm" }
  /** From here on storage may have forgotten what it had acknowledged. */
  | { readonly e: "incarnation"; readonly why: string }
  /** The server's time of day was changed: what was to come is due sooner, or later, from here on. */
  | { readonly e: "clock" }
  /** A producer's circuit breaker has changed. */
  | { readonly e: "breaker"; readonly shard: string; readonly state: "closed" | "degraded" | "open" | "halfOpen" }
  /** How many connections were opened in the time before, in place of how many. */
  | { readonly e: "connects"; readonly count: number; readonly inPlaceOf: number; readonly withinMs: number }
  /** What a process has of the system; and what of that is in use, told at first and where it may be too much. */
  | { readonly e: "memory"; readonly rss: number; readonly kept?: number }
);

export type Acceptance = "enqueued" | "spooled" | "duplicate" | "idTaken";
export type ProcessEvent = "started" | "killed" | "stopping" | "ended" | "frozen" | "thawed";

/** One call for one task. `k` names the call and travels in the payload: the same under whatever id it is stored. */
export interface Invoke {
  readonly e: "invoke";
  readonly k: string;
  readonly queue: string;
  /** Of the payload's bytes. */
  readonly hash: string;
  readonly maxRetry: number;
  /** The call must have settled after so many ms. */
  readonly withinMs: number;
  /** On the clock of `at`. */
  readonly dueAt?: number;
  readonly lock?: string;
  readonly lockMs?: number;
  /** One worker takes this queue, one task at a time: its tasks start in the order in which they were accepted. */
  readonly ordered?: true;
}

export interface Start {
  readonly e: "start";
  readonly k: string;
  readonly id: string;
  /** Unique among all runs of all tasks. */
  readonly run: string;
  readonly attempt: number;
  readonly hash: string;
}

/** What storage held when all had come to rest. */
export interface FinalState {
  /** Nothing waited, ran or was due any more when it was read. */
  readonly quiet: boolean;
  readonly queues: readonly QueueState[];
  /** Calls whose tasks are still in a producer's spool. */
  readonly spooled: readonly string[];
}

export interface QueueState {
  readonly name: string;
  /** Ids by place: pending, active, scheduled, retry, archived, completed, broken. */
  readonly places: Readonly<Record<string, readonly string[]>>;
  /** Ids with a lease, and those of whom it is known who holds it. */
  readonly leases: readonly string[];
  readonly holders: readonly string[];
  readonly tasks: readonly StoredTask[];
  /** Unique locks: key → id. */
  readonly locks: Readonly<Record<string, string>>;
  readonly processed: number;
  readonly failed: number;
}

export interface StoredTask {
  readonly id: string;
  readonly state: string;
  readonly k: string;
  readonly hash: string;
  readonly retried: number;
  readonly maxRetry: number;
  /** Why it is a dead letter. */
  readonly reason?: string;
}

export interface History {
  readonly events: readonly Event[];
  readonly final: FinalState;
}
