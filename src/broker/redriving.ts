import type { Page, PageRequest } from "../core/info.js";
import type { Act } from "./roles.js";

/**
 * What an engine does for redrives: it keeps which tasks of a queue one has chosen, moves each of them once, and keeps what
 * became of each. Which tasks, how fast and when to stop is said above (src/deadletter). All verbs may be repeated: what has
 * been done is not done again. A redrive is named by an id of ours; "" stands for none: tasks are moved, and nothing is kept.
 */
export interface Redriving {
  /**
   * Chooses dead letters of a queue for a redrive, or (`dry`) says which could be. Answers in order.
   */
  chooseDead(
    redrive: string,
    queue: string,
    tasks: readonly Chosen[],
    how: Choosing,
    nowMs: number,
  ): Promise<ChooseReceipt[]>;
  /** How far a redrive has come in each of these queues, and what is next there. All in one trip, or two. */
  redriveStands(redrive: string, queues: readonly string[], how: StandAsking, nowMs: number): Promise<RedriveStand[]>;
  /** Moves dead letters whose message is still as expected. Answers in order. */
  moveDead(
    redrive: string,
    queue: string,
    moves: readonly DeadMove[],
    how: DeadMoving,
    by: Act,
    nowMs: number,
  ): Promise<DeadMoveReceipt[]>;
  /**
   * What became of tasks of a redrive: each ends once, a second end is left out. Those of a cause are counted by it in the
   * same step, for as long as there is no later round.
   */
  noteRedriven(redrive: string, queue: string, notes: readonly RedriveNote[], round: number): Promise<void>;
  /** It is over: its tasks may be chosen by others, and what it knows is kept for `keepMs`. */
  endRedrive(redrive: string, queue: string, nowMs: number, keepMs: number): Promise<void>;
  /** What is known of its tasks, in no order; a page may have more or fewer than `limit`. */
  redrivenTasks(redrive: string, queue: string, page: RedrivenPage): Promise<Page<RedrivenTask>>;
}

export interface Chosen {
  readonly id: string;
  /** When it became a dead letter, Unix ms: the oldest is moved first. */
  readonly atMs: number;
}

export interface Choosing {
  readonly dry: boolean;
  /** Also those that may have run, and are to run at most once. */
  readonly mayOnce: boolean;
  /** Not those that have been redriven so often. */
  readonly mostRedrives: number;
}

/**
 * `notDead`: it is no dead letter (any more). `atMostOnce`: its worker died, or it failed, and it is to run at most once.
 * `redriving`: another redrive has it. `bound`: it has been redriven too often. `conflict`: `holder` holds its unique lock.
 */
export type NotMovable = "notFound" | "notDead" | "atMostOnce" | "redriving" | "bound" | "conflict";
export type ChooseReceipt = { readonly status: "chosen" | NotMovable; readonly holder?: string };

export interface DeadMove {
  readonly id: string;
  /** The message as it was read, and as it is to run. */
  readonly expected: Uint8Array;
  readonly message: Uint8Array;
  /** Text that is kept with the task of a redrive, and comes back with it. */
  readonly mark: string;
}

export interface DeadMoving {
  /** `away`: another queue has taken it, so that it leaves this one. */
  readonly to: "pending" | "scheduled" | "away";
  /** Of `scheduled`, Unix ms. */
  readonly dueMs?: number;
  /** How many more runs each message allows: a task of which workers died may take down as many. */
  readonly attempts: number;
  readonly mostRedrives: number;
  /** When to look first at what became of it, Unix ms. */
  readonly lookAtMs: number;
  /** The word under which it is kept among the acts. */
  readonly verb: "run" | "redrive";
}

/** `changed`: its message is not as expected, read it again. `done`: the redrive has it not among those left (any more). */
export type DeadMoveReceipt = { readonly status: "moved" | "changed" | "done" | NotMovable; readonly holder?: string };

/** Ends of a task of a redrive. `gone`: there is no task any more, so that nothing is known: revoked, or deleted. */
export const redriveEnds = ["succeeded", "failedSame", "failedOther", "gone", "notMoved"] as const;
export type RedriveEnd = (typeof redriveEnds)[number];

export interface RedriveNote {
  readonly id: string;
  /** "" where only the task itself is to be put right. */
  readonly became: RedriveEnd | "waiting" | "";
  readonly mark: string;
  /** Of an end, what it had failed for before it was moved; "" is counted nowhere. */
  readonly cause: string;
  /** Of `waiting`, Unix ms. */
  readonly lookAtMs?: number;
  /** For the task in this queue, if its message is still as expected. */
  readonly fix?: RedriveFix | undefined;
}

export interface RedriveFix {
  readonly expected: Uint8Array;
  /** A completed one is kept until then, Unix ms. */
  readonly untilMs?: number;
  /** The own message of a dead letter, or of one that waits. One that runs is left alone. */
  readonly message?: Uint8Array;
}

/** By cause, how many have ended, and how many of them have failed again. */
export type RedriveCauses = Readonly<Record<string, { readonly ended: number; readonly failed: number }>>;
/** As many causes are kept apart in a queue; all others are one, of this name. */
export const maxRedriveCauses = 100;
export const otherCauses = "others";

export interface StandAsking {
  /** So many of those left, and of those to be looked at, each. */
  readonly limit: number;
  /** Whose causes are counted. */
  readonly round: number;
}

export interface RedriveStand {
  /** To be moved, the oldest first. */
  readonly left: readonly Chosen[];
  /** To be looked at. */
  readonly due: readonly { readonly id: string; readonly mark: string }[];
  readonly counts: RedriveCounts;
  /** Of the round that was asked for. */
  readonly causes: RedriveCauses;
}

/** `left` to be moved, `waiting`: moved, and not ended. */
export type RedriveCounts = Readonly<Record<RedriveEnd | "left" | "waiting", number>>;

export type RedrivenPage = Pick<PageRequest, "limit" | "cursor">;

export interface RedrivenTask {
  readonly id: string;
  readonly became: RedriveEnd | "waiting";
  readonly mark: string;
}
