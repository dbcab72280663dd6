import { type LeasedTask, type LostLease, maxCrashes } from "../broker/broker.js";
import type { Clock } from "../core/clock.js";
import { HoldfastError } from "../core/errors.js";
import type { Outcome } from "../core/outcome.js";
import { Attempt } from "./attempt.js";
import type { Handlers } from "./handlers.js";
import type { ResolvedWorkerOptions } from "./options.js";

/** A task that was lost and leased again runs twice here, each time with a token of its own. */
const keyOf = ({ queue, id, token }: LostLease) => `${token}\n${queue}\n${id}`;
const isSuspect = (task: LeasedTask) => task.crashes > 0;
/** One more crash and the task is quarantined: nothing else may be there to take the blame, or to cause it. */
const mustBeAlone = (task: LeasedTask) => task.crashes >= maxCrashes - 1;

export interface CrewEvents {
  /** `undefined`: its lease is lost, there is nothing to settle. */
  readonly onEnded: (task: LeasedTask, outcome: Outcome | undefined) => void;
  /** A task that has waited to run alone is about to start. */
  readonly onAlone: (task: LeasedTask) => void;
}

/**
 * The attempts that are running, and who may run beside whom. Of the tasks whose worker died one runs at a time; one
 * that would be quarantined by the next crash runs with nothing beside it.
 */
export class Crew {
  readonly #handlers: Handlers;
  readonly #options: ResolvedWorkerOptions;
  readonly #clock: Clock;
  readonly #events: CrewEvents;
  readonly #running = new Map<string, Attempt>();
  #suspects = 0;
  /** Leased, and waiting until everybody else has finished. */
  #waitingAlone: LeasedTask | undefined;
  #runningAlone = false;

  constructor(handlers: Handlers, options: ResolvedWorkerOptions, clock: Clock, events: CrewEvents) {
    this.#handlers = handlers;
    this.#options = options;
    this.#clock = clock;
    this.#events = events;
  }

  /** Tasks that hold a slot. */
  get size(): number {
    return this.#running.size + (this.#waitingAlone === undefined ? 0 : 1);
  }

  get freeSlots(): number {
    return this.#waitingAlone !== undefined || this.#runningAlone ? 0 : this.#options.concurrency - this.#running.size;
  }

  get takesSuspect(): boolean {
    return this.#suspects === 0;
  }

  /** Whether it may have to wait until it is alone. */
  waits(task: LeasedTask): boolean {
    return mustBeAlone(task) && !this.#runningAlone;
  }

  /** Start it; or give it back at once, where one waits or runs that must be alone. */
  begin(task: LeasedTask): void {
    if (this.#waitingAlone !== undefined || this.#runningAlone) {
      this.#events.onEnded(task, { kind: "released" });
      return;
    }
    if (isSuspect(task)) this.#suspects += 1;
    if (mustBeAlone(task)) {
      this.#waitingAlone = task;
      this.#beginAlone();
    } else {
      this.#start(task);
    }
  }

  /** These leases are gone: whoever has the tasks now must not be disturbed. */
  lost(leases: readonly LostLease[]): void {
    for (const lease of leases) {
      this.#running.get(keyOf(lease))?.abort(new HoldfastError("LEASE_LOST", { id: lease.id }));
      const waiting = this.#waitingAlone;
      if (waiting !== undefined && keyOf(waiting.lease) === keyOf(lease)) this.#giveUpWaiting(waiting, undefined);
    }
  }

  /** Abort every handler; what does not end on its own is released after the abort grace. */
  stop(): void {
    const waiting = this.#waitingAlone;
    if (waiting !== undefined) this.#giveUpWaiting(waiting, { kind: "released" });
    for (const attempt of this.#running.values()) {
      attempt.abort(new HoldfastError("WORKER_STOPPING", { id: attempt.id }));
    }
  }

  #start(task: LeasedTask): void {
    const key = keyOf(task.lease);
    const attempt = new Attempt(task, this.#handlers, this.#options, this.#clock, (outcome) => {
      this.#running.delete(key);
      if (isSuspect(task)) this.#suspects -= 1;
      if (mustBeAlone(task)) this.#runningAlone = false;
      this.#events.onEnded(task, outcome);
      this.#beginAlone();
    });
    this.#running.set(key, attempt);
    attempt.start();
  }

  #beginAlone(): void {
    const task = this.#waitingAlone;
    if (task === undefined || this.#running.size > 0) return;
    this.#waitingAlone = undefined;
    this.#runningAlone = true;
    this.#events.onAlone(task);
    this.#start(task);
  }

  #giveUpWaiting(task: LeasedTask, outcome: Outcome | undefined): void {
    this.#waitingAlone = undefined;
    this.#suspects -= 1;
    this.#events.onEnded(task, outcome);
  }
}
