import { randomUUID } from "node:crypto";
import { hostname } from "node:os";
import type { Confirmation, LeasedTask, LeaseKeeper, Settlement } from "../broker/broker.js";
import { type Duration, toMs } from "../core/duration.js";
import type { WorkerInfo } from "../core/info.js";
import { HoldfastError, invalidOption, shown } from "../core/errors.js";
import { pause, stopSignals, untilSignal } from "../core/loop.js";
import type { Outcome } from "../core/outcome.js";
import type { TaskDefinition } from "../core/task.js";
import { tellBroker, tellTask } from "../core/telemetry.js";
import { limitMs } from "./attempt.js";
import { Crew, unstartedMs } from "./crew.js";
import { EffectStore } from "./effect-store.js";
import { Exchanger, toldFactor } from "./exchanger.js";
import { beat } from "./heartbeat.js";
import { type Handler, type HandlerOptions, Handlers, type Middleware } from "./handlers.js";
import { maintain } from "./maintenance.js";
import { ProgressReports } from "./progress.js";
import { Signals } from "./signals.js";
import { Watch } from "./watch.js";
import { healthOf, type Phase, type WorkerHealth } from "./health.js";
import { type ResolvedWorkerOptions, resolveWorkerOptions, type WorkerBroker, type WorkerOptions } from "./options.js";
import { OutcomeTally } from "./outcome-tally.js";

/** How long a task may wait to run alone, or for a place among those of its type. */
const longestWaitMs = 86_400_000;
/** How long a stopping worker waits for storage when its handlers have ended, or should have. */
const lastCallMs = 2_000;
/** A handler that is abandoned at the end of its grace is seen to have ended a moment later. */
const abandonMs = 100;
const renewWarnEveryMs = 30_000;

export interface WorkerCounters {
  readonly completed: number;
  readonly retried: number;
  readonly archived: number;
  readonly revoked: number;
  readonly released: number;
  /** Outcomes that nobody asked for any more: the lease had been lost. */
  readonly leaseLost: number;
  /** Handlers running now. */
  readonly running: number;
}

/**
 * Takes tasks and runs their handlers, `concurrency` at a time.
 *
 * @example
 * const worker = new Worker(broker, { concurrency: 20, queues: { critical: 6, default: 3, low: 1 } });
 * worker.handle(sendWelcome, async ({ userId }, task) => mailer.send(userId, { signal: task.signal }));
 * await worker.run(); // until SIGTERM; then finishes what it holds
 */
export class Worker implements AsyncDisposable {
  readonly id = `${hostname()}:${process.pid}:${randomUUID()}`;
  readonly #broker: WorkerBroker;
  readonly #options: ResolvedWorkerOptions;
  readonly #handlers = new Handlers();
  readonly #crew: Crew;
  readonly #exchanger: Exchanger;
  readonly #signals: Signals;
  readonly #watch: Watch;
  /** Leases that ran out were looked for once. */
  readonly #reclaimed = later();
  readonly #maintenance = new AbortController();
  readonly #tally = new OutcomeTally();
  readonly #counters = { completed: 0, retried: 0, archived: 0, revoked: 0, released: 0, leaseLost: 0 };
  readonly #unknownTypes = new Set<string>();
  #phase: Phase = "new";
  #phaseSinceMs: number;
  #renewWarnedMs = Number.NEGATIVE_INFINITY;
  #keeper: LeaseKeeper | undefined;
  #maintaining: Promise<void> | undefined;
  readonly #over = new AbortController();
  readonly #reports: ProgressReports;
  #beating: Promise<void> | undefined;
  #stopping: Promise<void> | undefined;

  /** @throws OPTION_INVALID */
  constructor(broker: WorkerBroker, options?: WorkerOptions) {
    if (typeof broker?.exchange !== "function")
      throw invalidOption("Worker", `takes what connect() answers, got ${shown(broker)}`);
    this.#broker = broker;
    this.#phaseSinceMs = broker.clock.nowMs();
    this.#options = resolveWorkerOptions(options);
    const { log } = this.#options;
    this.#watch = new Watch(broker, this.#options.stuckAfterMs, log);
    this.#reports = new ProgressReports(broker, log, this.#watch);
    this.#crew = new Crew(this.#handlers, this.#options, broker.clock, {
      onEnded: (task, outcome) => this.#ended(task, outcome),
      onLate: (task) => this.#hold([task], true),
      onProgress: (lease, bytes) => this.#reports.report(lease, bytes),
      silentMs: () => this.#watch.silentMs,
      remember: new EffectStore(broker, this.#watch).remember,
    });
    this.#exchanger = new Exchanger(broker, this.id, this.#options, this.#crew, this.#watch, {
      onLeased: (tasks) => this.#begin(tasks),
      onPaused: (queues) => this.#crew.release(queues),
      onSettled: (settlements, receipts) => this.#settled(settlements, receipts),
      onDry: () => this.#signals.idle(),
      isTold: () => this.#signals.listening,
    });
    this.#signals = new Signals(
      broker,
      this.#options.queues.map(({ name }) => name),
      {
        onWake: (queue) => this.#exchanger.nudge(queue),
        leasesOf: (id) => this.#crew.leasesOf(id),
        onCancelled: (leases) => this.#crew.cancelled(leases),
        log,
        watch: this.#watch,
      },
    );
  }

  /**
   * Register the handler of a task type; of `concurrency` of them at most run at once in this worker. Those over it hold
   * slots while they wait: give such a type a queue of its own, and bound that, where others must not wait behind it.
   * @throws HANDLER_EXISTS OPTION_INVALID
   */
  handle<In, R, Out>(definition: TaskDefinition<In, R, Out>, handler: Handler<Out, R>, options?: HandlerOptions): this {
    this.#handlers.add(definition, handler, options);
    return this;
  }

  /** Wrap every handler; the first middleware is the outermost. */
  use(middleware: Middleware): this {
    this.#handlers.wrap(middleware);
    return this;
  }

  /** Begin to work. @throws BROKER_UNAVAILABLE BROKER_INCOMPATIBLE when storage cannot be used; CLOSED after stop() */
  async start(): Promise<void> {
    if (this.#phase !== "new") {
      throw new HoldfastError("CLOSED", {
        what: "a worker starts once, make a new one: this one was started before, and",
      });
    }
    this.#enter("starting");
    this.#warnOfUnheardQueues();
    this.#watch.start({
      what: "looking for tasks",
      rounds: () => this.#exchanger.rounds,
      restMs: toldFactor * this.#options.pollIntervalMs,
      wake: () => this.#exchanger.restart(),
    });
    try {
      await this.#watch.call("looking at storage", () => this.#broker.ping(), { decides: true });
    } catch (error) {
      this.#watch.stop();
      if (this.#stopping === undefined) this.#enter("new");
      throw error;
    }
    // stop() may have been called while we waited.
    if (this.#stopping !== undefined) return;
    try {
      await this.#work();
    } catch (error) {
      await this.stop({ timeout: "0s" });
      throw error;
    }
  }

  async #work(): Promise<void> {
    this.#keeper = this.#broker.keeper({
      leaseMs: this.#options.leaseDurationMs,
      onLost: (leases) => {
        for (const { queue, id } of leases) tellBroker({ event: "leaseLost", broker: this.#broker.label, queue, id });
        this.#crew.lost(leases);
      },
      onCancelled: (leases) => this.#crew.cancelled(leases),
      onError: (error) => this.#unrenewed(error),
    });
    this.#beating = beat(this.#broker, this.#infoSince(this.#broker.clock.nowMs()), this.#over.signal, {
      log: this.#options.log,
      watch: this.#watch,
      tally: this.#tally,
      onShared: (queues) => (this.#crew.shared = queues.length > 0),
    });
    await this.#signals.start();
    if (this.#stopping !== undefined) return;
    this.#exchanger.start();
    this.#maintaining = maintain(this.#broker, this.#options, this.#watch, this.#maintenance.signal, {
      onWork: () => this.#exchanger.nudge(),
      onReclaim: () => this.#reclaimed.resolve(),
    });
    this.#enter("running");
  }

  /** For programs: work until SIGINT or SIGTERM (or stop()), then stop; a second signal aborts the handlers at once. */
  async run(): Promise<void> {
    // Listened for first: while storage is slow to answer, a signal would otherwise be the end of the process.
    const failed = new AbortController();
    const signal = untilSignal(stopSignals, AbortSignal.any([this.#maintenance.signal, failed.signal]));
    const started = this.start();
    started.catch(() => failed.abort());
    await Promise.race([started, signal]);
    await signal;
    const over = new AbortController();
    const stopped = this.stop().finally(() => over.abort());
    if ((await untilSignal(stopSignals, over.signal)) !== undefined) this.#crew.stop();
    await stopped;
  }

  /**
   * Work until nothing in its queues is pending or due, then stop. What is due later is not waited for; what a crashed worker
   * left is: at most 5 s more, if there is a lease that ran out.
   * @throws BROKER_FAILED when storage refused to say what is pending
   */
  async drain(): Promise<WorkerCounters> {
    const queues = this.#options.queues.map((queue) => queue.name);
    while ((await this.#broker.promote(queues, 500, this.#broker.clock.nowMs())).moved > 0);
    await this.start();
    for (let looked = false; ; looked = true) {
      while (!(this.#exchanger.drained && this.#crew.size === 0)) {
        if (this.#exchanger.quiet && this.#crew.size === 0) this.#exchanger.nudge();
        await this.#exchanger.changed();
      }
      if (looked || !(await this.#someRanOut(queues))) break;
      await Promise.race([this.#reclaimed.promise, this.#maintaining]);
      this.#exchanger.nudge();
    }
    await this.stop();
    if (this.#exchanger.refusal !== undefined) throw this.#exchanger.refusal;
    return this.counters();
  }

  /**
   * Two phases: take nothing new and wait for the handlers; after `timeout` (default: the shutdownTimeout option)
   * abort their signals and, after the abort grace, release what is left to be leased again at once.
   */
  stop(options: { readonly timeout?: Duration } = {}): Promise<void> {
    const timeoutMs =
      options.timeout === undefined ? this.#options.shutdownTimeoutMs : toMs(options.timeout, "stop.timeout");
    this.#stopping ??= this.#stop(timeoutMs);
    return this.#stopping;
  }

  /** Whether it works, and if not, whether that is storage's fault or its own. Asks nobody: cheap, and never waits. */
  health(): WorkerHealth {
    const vitals = {
      phase: this.#phase,
      sinceMs: this.#phaseSinceMs,
      ended: this.#exchanger.closed,
      lastTurnAtMs: this.#exchanger.answeredAtMs,
      running: this.#crew.running,
      oldestStartedAtMs: this.#crew.runningTasks()[0]?.startedAtMs,
      waiting: this.#crew.size - this.#crew.running,
      unsettled: this.#exchanger.unsettled,
    };
    return healthOf(vitals, this.#watch);
  }

  counters(): WorkerCounters {
    return { ...this.#counters, running: this.#crew.running };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  async #stop(timeoutMs: number): Promise<void> {
    if (this.#phase === "new") {
      this.#enter("stopped");
      return;
    }
    this.#enter("stopping");
    this.#exchanger.stopLeasing();
    this.#crew.release();
    this.#maintenance.abort();
    await this.#until(() => this.#crew.size === 0 && this.#exchanger.settled, timeoutMs);
    if (this.#crew.size > 0) {
      this.#crew.stop();
      await this.#until(() => this.#crew.size === 0, this.#options.abortGraceMs + abandonMs);
    }
    this.#over.abort();
    this.#reports.stop();
    const listening = Promise.all([this.#signals.stop(), this.#maintaining, this.#beating]);
    // A look for tasks may still be under way: what it brings is given back.
    await this.#until(() => this.#exchanger.settled && this.#exchanger.quiet, lastCallMs);
    const unsettled = this.#exchanger.giveUp();
    if (unsettled > 0) {
      this.#options.log.error(
        { tasks: unsettled },
        "stopped without settling these: they run again when their leases end",
      );
    }
    // What still waits for storage ends by itself, at its own deadline.
    await Promise.race([listening, this.#watch.away === undefined ? listening : undefined]);
    await this.#keeper?.close();
    this.#watch.stop();
    this.#enter("stopped");
  }

  /** Told now and then: in an outage it is tried several times a second. */
  #unrenewed(error: unknown): void {
    const nowMs = performance.now();
    const level = nowMs < this.#renewWarnedMs + renewWarnEveryMs ? "debug" : "warn";
    if (level === "warn") this.#renewWarnedMs = nowMs;
    this.#options.log[level]({ error }, "renewing leases failed; trying again");
  }

  #enter(phase: Phase): void {
    this.#phase = phase;
    this.#phaseSinceMs = this.#broker.clock.nowMs();
  }

  /** Whether there are leases that ran out, as far as storage says. */
  async #someRanOut(queues: readonly string[]): Promise<boolean> {
    const nowMs = this.#broker.clock.nowMs();
    try {
      const infos = await this.#watch.call("looking for leases that ran out", () => this.#broker.queues(nowMs, queues));
      return infos.some(({ earliestAtMs }) => (earliestAtMs?.active ?? Infinity) <= nowMs);
    } catch {
      return false;
    }
  }

  /** The likeliest mistake of all: tasks go to a queue that nobody looks at. */
  #warnOfUnheardQueues(): void {
    const heard = new Set(this.#options.queues.map((queue) => queue.name));
    for (const { type, options } of this.#handlers.definitions()) {
      if (heard.has(options.queue)) continue;
      const fields = { type, queue: options.queue, queues: [...heard] };
      this.#options.log.warn(
        fields,
        "this worker does not look at the queue of a type that it handles: add it to `queues`",
      );
    }
  }

  #infoSince(startedAtMs: number): () => WorkerInfo {
    const { concurrency, strictPriority, queues } = this.#options;
    const weights = Object.fromEntries(queues.map(({ name, weight }) => [name, weight]));
    return () => ({
      id: this.id,
      host: hostname(),
      pid: process.pid,
      concurrency,
      queues: weights,
      strictPriority,
      status: this.#phase === "starting" || this.#phase === "running" ? "active" : "stopped",
      startedAtMs,
      running: this.#crew.runningTasks(),
    });
  }

  async #until(condition: () => boolean, timeoutMs: number): Promise<void> {
    const over = new AbortController();
    const timer = pause(timeoutMs, over.signal);
    let late = false;
    void timer.then(() => (late = true));
    while (!condition() && !late) await Promise.race([this.#exchanger.changed(), timer]);
    over.abort();
  }

  #begin(tasks: readonly LeasedTask[]): void {
    // A program that was frozen reads replies when it is late: somebody else may have what they lease.
    const nowMs = this.#broker.clock.nowMs();
    const ours: LeasedTask[] = [];
    for (const task of tasks) {
      if (this.#stopping === undefined && task.lease.untilMs > nowMs) ours.push(task);
      else this.#exchanger.settle({ task, outcome: { kind: "released", unstarted: true } });
    }
    if (ours.length === 0) return;
    this.#signals.busy();
    // Before any handler starts: one that blocks the event loop at once keeps its lease all the same.
    this.#hold(ours, false);
    this.#crew.begin(ours);
  }

  /** One that may wait for long is held for as long as that may take, and anew when it starts. */
  #hold(tasks: readonly LeasedTask[], starting: boolean): void {
    const nowMs = this.#broker.clock.nowMs();
    const slackMs = this.#options.abortGraceMs + unstartedMs;
    this.#keeper!.hold(
      tasks.map((task) => ({
        lease: task.lease,
        renewUntilMs: !starting && this.#crew.waits(task) ? nowMs + longestWaitMs : limitMs(task, nowMs) + slackMs,
      })),
    );
  }

  #ended(task: LeasedTask, outcome: Outcome | undefined): void {
    if (outcome !== undefined) {
      this.#exchanger.settle({ task, outcome });
      this.#report(task, outcome);
      return;
    }
    this.#keeper!.drop([task.lease]);
    this.#counters.leaseLost += 1;
    this.#exchanger.freed();
  }

  #report({ message, lease: { queue, id } }: LeasedTask, outcome: Outcome): void {
    if (!("failure" in outcome)) return;
    const { reason, class: name, message: error } = outcome.failure;
    const fields = { queue, type: message.type, id, attempt: message.retried + 1, reason, error: `${name}: ${error}` };
    if (outcome.kind === "archived") {
      this.#options.log.error(fields, "a task failed and is a dead letter now");
    } else if (outcome.counts) {
      this.#options.log.warn({ ...fields, again: new Date(outcome.atMs) }, "a task failed and will be tried again");
    } else if (reason === "no_handler" && !this.#unknownTypes.has(message.type)) {
      this.#unknownTypes.add(message.type);
      this.#options.log.warn(
        { queue, type: message.type },
        "tasks of a type that no handler here knows go back for other workers",
      );
    }
  }

  #settled(settlements: readonly Settlement[], receipts: readonly Confirmation[]): void {
    this.#keeper!.drop(settlements.map(({ task }) => task.lease));
    settlements.forEach(({ task, outcome }, index) => {
      const receipt = receipts[index]!;
      this.#counters[receipt === "leaseLost" ? "leaseLost" : counterOf[outcome.kind]] += 1;
      const { queue, type, id } = task.message;
      if (receipt !== "leaseLost") this.#tally.add(queue, type, outcome);
      tellTask({ event: "settled", queue, type, id, outcome: outcome.kind, receipt });
    });
  }
}

const counterOf = {
  completed: "completed",
  retry: "retried",
  archived: "archived",
  revoked: "revoked",
  released: "released",
} as const;

function later(): { readonly promise: Promise<void>; readonly resolve: () => void } {
  let resolve = () => {};
  const promise = new Promise<void>((done) => (resolve = done));
  return { promise, resolve };
}
