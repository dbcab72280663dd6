import { type Cancellation, type Lease, type LeasedTask, type LostLease, maxCrashes } from "../broker/broker.js";
import type { Clock } from "../core/clock.js";
import { hadNegative } from "../core/codec.js";
import type { RunningTask } from "../core/info.js";
import { HoldfastError } from "../core/errors.js";
import type { Outcome } from "../core/outcome.js";
import { Attempt } from "./attempt.js";
import type { Remember } from "./effect-store.js";
import type { Handlers } from "./handlers.js";
import { Line } from "./line.js";
import type { ResolvedWorkerOptions } from "./options.js";
import { Pace } from "./pace.js";

/** A leased task that could not be started for this long goes back. */
export const unstartedMs = 1_000;

/** A task that was lost and leased again runs twice here, each time with a token of its own. */
const isSame = (a: LostLease, b: LostLease) => a.id === b.id && a.queue === b.queue && a.token === b.token;
const isSuspect = (task: LeasedTask) => task.crashes > 0;
/** One more crash and the task is quarantined: nothing else may be there to take the blame, or to cause it. */
const mustBeAlone = (task: LeasedTask) => task.crashes >= maxCrashes - 1;
const unstarted: Outcome = { kind: "released", unstarted: true };

export interface CrewEvents {
  /** `undefined`: its lease is lost, there is nothing to settle. */
  readonly onEnded: (task: LeasedTask, outcome: Outcome | undefined) => void;
  /** A task of which `waits` was true is about to start. */
  readonly onLate: (task: LeasedTask) => void;
  /** What a handler reports of its task. */
  readonly onProgress: (lease: Lease, bytes: Uint8Array) => void;
  /** For how long storage has not answered: so long leases may not have been renewed. */
  readonly silentMs: () => number;
  readonly remember: Remember;
}

/**
 * The attempts that are running, the tasks that wait for a slot, and who may run beside whom. Of the tasks whose worker
 * died one runs at a time, and nothing waits beside it; one that would be quarantined by the next crash runs with nothing
 * beside it at all.
 */
export class Crew {
  readonly #handlers: Handlers;
  readonly #options: ResolvedWorkerOptions;
  readonly #clock: Clock;
  readonly #events: CrewEvents;
  readonly #running = new Set<Attempt>();
  readonly #line = new Line();
  readonly #pace = new Pace();
  /** Running tasks by type, and held ones by queue: of those that have a bound. */
  readonly #runningOf = new Map<string, number>();
  readonly #heldOf: Map<string, number>;
  #suspects = 0;
  /** Leased, and waiting until everybody else has finished. */
  #waitingAlone: LeasedTask | undefined;
  #runningAlone = false;
  /** When the last task ended, or the first began after none was running. */
  #busySinceMs = 0;
  #lineIsWatched = false;
  /** Types of which it was said that a task has negative numbers: once is enough, and so are that many types. */
  readonly #negative = new Set<string>();
  /** Others, of another program, serve the same queues: nothing is to be held back from them. */
  shared = false;

  constructor(handlers: Handlers, options: ResolvedWorkerOptions, clock: Clock, events: CrewEvents) {
    this.#handlers = handlers;
    this.#options = options;
    this.#clock = clock;
    this.#events = events;
    const bounded = options.queues.filter(({ concurrency }) => concurrency !== undefined);
    this.#heldOf = new Map(bounded.map(({ name }) => [name, 0]));
  }

  get running(): number {
    return this.#running.size;
  }

  /** Leased tasks: those that run and those that wait. */
  get size(): number {
    return this.#running.size + this.#line.size + (this.#waitingAlone === undefined ? 0 : 1);
  }

  /** What waits counts as if it ran: it will. */
  get freeSlots(): number {
    if (this.#isReserved) return 0;
    return Math.max(0, this.#options.concurrency - this.#running.size - this.#line.size);
  }

  get room(): number {
    const over = Math.max(0, this.#running.size + this.#line.size - this.#options.concurrency);
    return Math.max(0, this.#ahead - over);
  }

  get capacity(): number {
    return this.#options.concurrency + this.#ahead;
  }

  get takesSuspect(): boolean {
    return this.#suspects === 0;
  }

  heldOf(queue: string): number {
    return this.#heldOf.get(queue) ?? 0;
  }

  get #isReserved(): boolean {
    return this.#waitingAlone !== undefined || this.#runningAlone;
  }

  get #ahead(): number {
    return this.#suspects > 0 || this.#isReserved || this.shared ? 0 : this.#pace.ahead;
  }

  /** Whether it may have to wait for longer than others: until it is alone, or its type has a place. */
  waits(task: LeasedTask): boolean {
    return mustBeAlone(task) || this.#handlers.limitOf(task.message.type) !== undefined;
  }

  /** What one turn leased, in order: started where there is a slot, and given back at once beside one that is to be alone. */
  begin(tasks: readonly LeasedTask[]): void {
    const sinceMs = performance.now();
    for (const task of tasks) {
      this.#count(task, 1);
      if (this.#isReserved) this.#end(task, unstarted);
      else if (mustBeAlone(task)) this.#awaitAlone(task);
      else this.#queue(task, sinceMs);
    }
  }

  /** These leases are gone: whoever has the tasks now must not be disturbed. */
  lost(leases: readonly LostLease[]): void {
    const isLost = ({ lease }: LeasedTask) => leases.some((lost) => isSame(lost, lease));
    for (const task of this.#line.remove(isLost)) this.#leave(task, undefined);
    for (const attempt of this.#running) {
      if (isLost(attempt.leased)) attempt.abort(new HoldfastError("LEASE_LOST", { id: attempt.id }));
    }
    const waiting = this.#waitingAlone;
    if (waiting !== undefined && isLost(waiting)) this.#giveUpWaiting(waiting, undefined);
  }

  /** What waits goes back, in order: all of it, or what came from these queues. */
  release(queues?: readonly string[]): void {
    this.#release(({ lease }) => queues === undefined || queues.includes(lease.queue));
  }

  /** Somebody asked for these to be aborted. Of one that has not started yet the next renewal of its lease tells again. */
  cancelled(leases: readonly (LostLease & { readonly how: Cancellation })[]): void {
    for (const lease of leases) {
      const { id, how } = lease;
      const running = [...this.#running].find(({ leased }) => isSame(leased.lease, lease));
      running?.abort(new HoldfastError("TASK_CANCELLED", { id, how }));
    }
  }

  /** Leases of running tasks with this id, which is unique per queue only. */
  leasesOf(id: string): Lease[] {
    return [...this.#running].map(({ leased }) => leased.lease).filter((lease) => lease.id === id);
  }

  /** What runs now, the longest first. */
  runningTasks(): RunningTask[] {
    return [...this.#running].map(({ leased: { message, lease }, startedAtMs, limitMs }) => {
      const { type, payload } = message;
      return { queue: lease.queue, id: lease.id, type, payload, startedAtMs, limitAtMs: limitMs };
    });
  }

  /** Abort every handler; what does not end on its own is released after the abort grace. */
  stop(): void {
    this.release();
    const waiting = this.#waitingAlone;
    if (waiting !== undefined) this.#giveUpWaiting(waiting, unstarted);
    for (const attempt of this.#running) {
      attempt.abort(new HoldfastError("WORKER_STOPPING", { id: attempt.id }));
    }
  }

  #queue(task: LeasedTask, sinceMs: number): void {
    if (isSuspect(task)) {
      this.#suspects += 1;
      this.#release((waiting) => !isSuspect(waiting));
    }
    this.#line.push(task, sinceMs);
    this.#advance();
  }

  /** Starts what may start. Whatever waits too long goes back, and all that waits beside a suspect. */
  #advance(): void {
    while (!this.#isReserved && this.#running.size < this.#options.concurrency) {
      const next = this.#line.next((task) => !this.#isAtLimit(task));
      if (next === undefined) break;
      if (this.#isStale(next.task, performance.now() - next.sinceMs)) this.#giveBack(next.task);
      else if (this.#mayBeLost) this.#leave(next.task, unstarted);
      else this.#start(next.task);
    }
    if (this.#suspects > 0) this.#release((task) => !isSuspect(task) && !this.#isAtLimit(task));
    if (this.#line.size === 0 || this.#lineIsWatched) return;
    this.#lineIsWatched = true;
    setTimeout(() => this.#lookAtLine(), unstartedMs / 2).unref();
  }

  #lookAtLine(): void {
    this.#lineIsWatched = false;
    const stale = this.#line.next((task, waitedMs) => this.#isStale(task, waitedMs));
    if (stale !== undefined) this.#giveBack(stale.task);
    this.#advance();
  }

  /** What handlers, or one that blocked the event loop, kept waiting so long may start sooner elsewhere. */
  #isStale(task: LeasedTask, waitedMs: number): boolean {
    return waitedMs > unstartedMs && !this.waits(task);
  }

  /** Storage has been away for longer than leases last: somebody else may have the tasks that wait here. */
  get #mayBeLost(): boolean {
    return this.#events.silentMs() > this.#options.leaseDurationMs;
  }

  /** It and all behind it together, so that they stand in order again. */
  #giveBack(stale: LeasedTask): void {
    this.#pace.stalled();
    this.#leave(stale, unstarted);
    this.#release((task) => !this.waits(task));
  }

  #isAtLimit({ message: { type } }: LeasedTask): boolean {
    const most = this.#handlers.limitOf(type);
    return most !== undefined && (this.#runningOf.get(type) ?? 0) >= most;
  }

  #start(task: LeasedTask): void {
    const { type } = task.message;
    const isBounded = this.#handlers.limitOf(type) !== undefined;
    if (this.waits(task)) this.#events.onLate(task);
    if (hadNegative(task.message)) this.#warnOfNegative(task);
    const attempt = new Attempt(task, this.#handlers, this.#options, this.#clock, {
      onProgress: this.#events.onProgress,
      remember: this.#events.remember,
      onEnded: (outcome) => {
        this.#keepPace();
        this.#running.delete(attempt);
        if (isBounded) this.#runningOf.set(type, this.#runningOf.get(type)! - 1);
        if (mustBeAlone(task)) this.#runningAlone = false;
        this.#leave(task, outcome);
        this.#beginAlone();
        this.#advance();
      },
    });
    if (this.#running.size === 0) this.#busySinceMs = performance.now();
    this.#running.add(attempt);
    if (isBounded) this.#runningOf.set(type, (this.#runningOf.get(type) ?? 0) + 1);
    attempt.start();
  }

  /** Another client wrote it: asynq's takes a timeout of -1 s, and its server ends such a task at once. */
  #warnOfNegative({ message: { type, id }, lease: { queue } }: LeasedTask): void {
    if (this.#negative.has(type) || this.#negative.size >= 100) return;
    this.#negative.add(type);
    this.#options.log.warn({ queue, type, id }, "a time or a count of this task is negative: it is read as none");
  }

  #keepPace(): void {
    const nowMs = performance.now();
    this.#pace.ended(nowMs - this.#busySinceMs);
    this.#busySinceMs = nowMs;
  }

  #awaitAlone(task: LeasedTask): void {
    this.#suspects += 1;
    this.release();
    this.#waitingAlone = task;
    this.#beginAlone();
  }

  #beginAlone(): void {
    const task = this.#waitingAlone;
    if (task === undefined || this.#running.size > 0) return;
    if (this.#mayBeLost) return this.#giveUpWaiting(task, unstarted);
    this.#waitingAlone = undefined;
    this.#runningAlone = true;
    this.#start(task);
  }

  #giveUpWaiting(task: LeasedTask, outcome: Outcome | undefined): void {
    this.#waitingAlone = undefined;
    this.#leave(task, outcome);
  }

  #release(holds: (task: LeasedTask) => boolean): void {
    for (const task of this.#line.remove(holds)) this.#leave(task, unstarted);
  }

  #leave(task: LeasedTask, outcome: Outcome | undefined): void {
    if (isSuspect(task)) this.#suspects -= 1;
    this.#end(task, outcome);
  }

  #count({ lease: { queue } }: LeasedTask, change: 1 | -1): void {
    const held = this.#heldOf.get(queue);
    if (held !== undefined) this.#heldOf.set(queue, held + change);
  }

  #end(task: LeasedTask, outcome: Outcome | undefined): void {
    this.#count(task, -1);
    this.#events.onEnded(task, outcome);
  }
}
