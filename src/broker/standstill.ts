import type { Act, PauseReceipt } from "./roles.js";

/**
 * Storage that can be kept still while somebody works on it: queues take no tasks and give none, and a replica can become
 * the master without anything being written that it has not. Only engines with replicas have it.
 */
export interface Standstills {
  /**
   * These queues refuse tasks (BROKER_UNAVAILABLE, `refused`) and give none until that time, when they go on by
   * themselves; undefined: they go on now. Again: the new time counts.
   */
  set(queues: readonly string[], untilMs: number | undefined, by: Act, nowMs: number): Promise<PauseReceipt[]>;
  /** Of each queue, in order; undefined for one that goes on. */
  of(queues: readonly string[], nowMs: number): Promise<(Standstill | undefined)[]>;
  /** Each server that is written to, and how far its replicas are behind it. */
  replication(): Promise<Replication[]>;
  /**
   * Have a replica become the master, while nobody can write at all. What may go wrong is told before anything is lost.
   * That it was tried is written down before.
   * @throws OPTION_INVALID where this is not ours to do, with what is
   * @throws BROKER_UNAVAILABLE BROKER_INCOMPATIBLE
   */
  failOver(withinMs: number, by: Act, nowMs: number): Promise<FailedOver>;
}

export interface Standstill {
  readonly sinceMs: number;
  readonly untilMs: number;
  readonly actor: string;
  /** "" where none was given. */
  readonly reason: string;
}

export interface Replication {
  /** "host:port". */
  readonly server: string;
  /** How much it has written, bytes. */
  readonly offset: number;
  readonly replicas: readonly {
    readonly server: string;
    /** It follows, and has all that there was when it began to. */
    readonly online: boolean;
    /** How much of that it has. */
    readonly offset: number;
    /** How long ago it last said so, s: 0 or 1 for one that is well. */
    readonly silentS: number;
  }[];
}

export interface FailedOver {
  /** "host:port" of the master that was, and of the one that is. */
  readonly from: string;
  readonly to: string;
  /** How long nobody could write, ms. */
  readonly frozenMs: number;
  /** What the old master had when it froze, bytes: the new one has all of it. */
  readonly offset: number;
}
