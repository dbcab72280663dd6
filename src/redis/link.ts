import type { DisciplinedClock } from "../core/clock.js";
import { type CallOutcome, HoldfastError } from "../core/errors.js";
import type { RedisAddress } from "./redis-url.js";
import type { Script } from "./script.js";

/**
 * The way to a Redis server, as the engine sees it: strict, so that the engine always knows what became of a call.
 * Nothing is sent twice unasked, nothing is sent after its deadline, no promise outlives its deadline, and no library's
 * error, argument or password gets out.
 */
export interface RedisLink {
  /** Host, port and database for logs and errors; never a password. */
  readonly label: string;
  /** Kept in step with the server: read at every connect and every 10 s of use. */
  readonly clock: DisciplinedClock;
  /** In a Cluster all keys of one call must be on one slot: one call for each queue, as many calls in one `run` as need be. */
  readonly oneSlotPerCall: boolean;
  /**
   * One round trip for all calls; the replies come in their order. A call that failed alone has a LinkError in its
   * place. Connects when need be; waiting for that counts towards the deadline.
   * @throws BROKER_UNAVAILABLE when no call got an answer, BROKER_INCOMPATIBLE when user, password or database are
   * wrong, CLOSED
   */
  run(calls: readonly (ScriptCall | Command)[], options?: RunOptions): Promise<Reply[]>;
  /**
   * The servers that hold data now, masters all: one, or each that has slots of a Cluster. They change when a replica
   * takes over or slots move; who keeps connections of its own asks again when it loses one.
   * @throws as `run`
   */
  nodes(): Promise<readonly RedisNode[]>;
  /** The one that has each of these queues. @throws as `run` */
  nodesOf(queues: readonly string[]): Promise<readonly RedisNode[]>;
  /** The name of the server that has the queue, as far as is known; undefined where there is but one. */
  shardOf(queue: string): string | undefined;
  /** Of the server that has the queue, where one is given. @throws BROKER_UNAVAILABLE BROKER_INCOMPATIBLE CLOSED */
  ping(queue?: string): Promise<void>;
  /** Be told of each connection to a server that holds data. */
  onConnected(listener: () => void): void;
  /**
   * A reply was none to its call, so others may not be either: the connections that there are end now, what is under way
   * on them is `unknown`, and the next call opens others.
   */
  distrust(): void;
  /** Waits for the calls under way (each ends by its deadline), then disconnects. */
  close(): Promise<void>;
}

/** As much of a link as a verb needs that only sends calls. */
export type Caller = Pick<RedisLink, "label" | "run">;

/** One server by itself. */
export interface RedisNode {
  /** For connections of one's own. */
  readonly address: RedisAddress;
  /** The first that it has of a Cluster's slots, as far as is known. */
  readonly firstSlot?: number;
  /** As the link's, on this server whatever the keys. */
  run(calls: readonly (ScriptCall | Command)[], options?: RunOptions): Promise<Reply[]>;
}

export interface RunOptions {
  /** Named in the error when the calls fail. */
  readonly taskIds?: readonly string[];
  /** For everything: connecting, sending, the replies. Default: the link's. */
  readonly timeoutMs?: number;
  /**
   * Default true: as long as there is time, wait for a server that is away. With false calls to one that was away a
   * moment ago fail at once, as `notSent`, while the link goes on trying to reach it.
   */
  readonly insist?: boolean;
}

export type Argument = string | number | Uint8Array;

/**
 * Stands in a script's arguments for the time (Unix ms, the server's clock) after which the script must change nothing
 * and answer `redis.error_reply("STALE " .. nowMs)`. The link fills it in when it sends, so that a call which lay in a
 * stopped server or a stuck socket past its deadline, and has been reported as failed, is not carried out later.
 * A call that is stale because our clock was behind is sent once more with the clock put right.
 */
export const deadline = Symbol("deadline");

/** Runs by EVALSHA; where the server does not have the script, that one call is sent again with its text, after the others. */
export interface ScriptCall {
  readonly script: Script;
  readonly keys: readonly string[];
  readonly args: readonly (Argument | typeof deadline)[];
}

export interface Command {
  readonly name: string;
  readonly args: readonly Argument[];
}

/** Status and bulk strings are Buffers. */
export type Reply = Buffer | number | null | LinkError | Reply[];

/**
 * Why one call failed.
 * - `refused`: the server is in no state to take it (LOADING, READONLY, OOM …) or does not let us; nothing was changed.
 * - `unknown`: sent, but no answer came in time; it may have been carried out.
 * - `failed`: the server tried and could not (WRONGTYPE, an error in a script). Our scripts read and check before they
 *   write, so nothing was changed unless the problem says otherwise; sending it again will not help.
 */
export class LinkError {
  readonly outcome: Exclude<CallOutcome, "notSent"> | "failed";
  /** The first word of Redis's error: "WRONGTYPE"; "" where there is none. */
  readonly code: string;
  /** Free of arguments and passwords. */
  readonly problem: string;

  constructor(outcome: LinkError["outcome"], code: string, problem: string) {
    this.outcome = outcome;
    this.code = code;
    this.problem = problem;
  }

  /** The error to throw when the whole verb fails for it: BROKER_UNAVAILABLE, or BROKER_FAILED for `failed`. */
  toError(broker: string, taskIds: readonly string[] = []): HoldfastError<"BROKER_UNAVAILABLE" | "BROKER_FAILED"> {
    const { outcome, problem } = this;
    return outcome === "failed"
      ? new HoldfastError("BROKER_FAILED", { broker, problem })
      : new HoldfastError("BROKER_UNAVAILABLE", { broker, problem, outcome, taskIds });
  }
}
