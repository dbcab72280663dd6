import { randomUUID } from "node:crypto";
import { hostname } from "node:os";
import type {
  Broker,
  LeasedTask,
  LeaseKeeper,
  Maintaining,
  Settlement,
  SettleReceipt,
  Working,
} from "../broker/broker.js";
import { type Duration, toMs } from "../core/duration.js";
import { HoldfastError } from "../core/errors.js";
import { pause, untilSignal } from "../core/loop.js";
import type { Outcome } from "../core/outcome.js";
import type { TaskDefinition } from "../core/task.js";
import { tellBroker, tellTask } from "../core/telemetry.js";
import { limitMs } from "./attempt.js";
import { Crew } from "./crew.js";
import { Exchanger } from "./exchanger.js";
import { type Handler, Handlers, type Middleware } from "./handlers.js";
import { maintain } from "./maintenance.js";
import { type ResolvedWorkerOptions, resolveWorkerOptions, type WorkerOptions } from "./options.js";

export type WorkerBroker = Working & Maintaining & Pick<Broker, "ping">;

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
  readonly #maintenance = new AbortController();
  readonly #counters = { completed: 0, retried: 0, archived: 0, revoked: 0, released: 0, leaseLost: 0 };
  #state: "new" | "running" | "stopped" = "new";
  #keeper: LeaseKeeper | undefined;
  #maintaining: Promise<void> | undefined;
  #stopping: Promise<void> | undefined;

  /** @throws OPTION_INVALID */
  constructor(broker: WorkerBroker, options?: WorkerOptions) {
    this.#broker = broker;
    this.#options = resolveWorkerOptions(options);
    this.#crew = new Crew(this.#handlers, this.#options, broker.clock, (task, outcome) => this.#ended(task, outcome));
    this.#exchanger = new Exchanger(broker, this.id, this.#options, this.#crew, {
      onLeased: (tasks) => this.#begin(tasks),
      onSettled: (settlements, receipts) => this.#settled(settlements, receipts),
    });
  }

  /** Register the handler of a task type. @throws HANDLER_EXISTS OPTION_INVALID */
  handle<In, R, Out>(definition: TaskDefinition<In, R, Out>, handler: Handler<Out, R>): this {
    this.#handlers.add(definition, handler);
    return this;
  }

  /** Wrap every handler; the first middleware is the outermost. */
  use(middleware: Middleware): this {
    this.#handlers.wrap(middleware);
    return this;
  }

  /** Begin to work. @throws BROKER_UNAVAILABLE BROKER_INCOMPATIBLE when storage cannot be used; CLOSED after stop() */
  async start(): Promise<void> {
    if (this.#state !== "new") throw new HoldfastError("CLOSED", { what: "this worker was started before: it" });
    this.#state = "running";
    try {
      await this.#broker.ping();
    } catch (error) {
      this.#state = "new";
      throw error;
    }
    // stop() may have been called while we waited.
    if (this.#stopping !== undefined) return;
    this.#keeper = this.#broker.keeper({
      leaseMs: this.#options.leaseDurationMs,
      onLost: (leases) => {
        for (const { queue, id } of leases) tellBroker({ event: "leaseLost", broker: this.#broker.label, queue, id });
        this.#crew.lost(leases);
      },
      onError: (error) => this.#options.log.warn({ error }, "renewing leases failed; trying again"),
    });
    this.#exchanger.start();
    this.#maintaining = maintain(this.#broker, this.#options, this.#maintenance.signal, () => this.#exchanger.nudge());
  }

  /** For programs: work until SIGINT or SIGTERM, then stop; a second signal stops at once. */
  async run(): Promise<void> {
    await this.start();
    await untilSignal();
    const stopped = this.stop();
    await Promise.race([stopped, untilSignal().then(() => this.#crew.stop())]);
    await stopped;
  }

  /** Work until nothing in its queues is pending or due, then stop. What is due later is not waited for. */
  async drain(): Promise<WorkerCounters> {
    const queues = this.#options.queues.map((queue) => queue.name);
    while ((await this.#broker.promote(queues, 500, this.#broker.clock.nowMs())).moved > 0);
    await this.start();
    while (!(this.#exchanger.quiet && this.#crew.size === 0)) await this.#exchanger.changed();
    await this.stop();
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

  counters(): WorkerCounters {
    return { ...this.#counters, running: this.#crew.size };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  async #stop(timeoutMs: number): Promise<void> {
    if (this.#state === "new") {
      this.#state = "stopped";
      return;
    }
    this.#state = "stopped";
    this.#exchanger.stopLeasing();
    this.#maintenance.abort();
    const idle = () => this.#crew.size === 0 && this.#exchanger.quiet;
    await this.#until(idle, timeoutMs);
    this.#crew.stop();
    await this.#until(idle, this.#options.abortGraceMs + 2_000);
    const unsettled = this.#exchanger.giveUp();
    if (unsettled > 0) {
      this.#options.log.error(
        { tasks: unsettled },
        "stopped without settling these: they run again when their leases end",
      );
    }
    await this.#maintaining;
    await this.#keeper?.close();
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
    if (this.#state === "stopped") {
      for (const task of tasks) this.#exchanger.settle({ task, outcome: { kind: "released" } });
      return;
    }
    const nowMs = this.#broker.clock.nowMs();
    const graceMs = this.#options.abortGraceMs;
    // Before any handler starts: one that blocks the event loop at once keeps its lease all the same.
    this.#keeper!.hold(tasks.map((task) => ({ lease: task.lease, renewUntilMs: limitMs(task, nowMs) + graceMs })));
    for (const task of tasks) this.#crew.begin(task);
  }

  #ended(task: LeasedTask, outcome: Outcome | undefined): void {
    if (outcome !== undefined) {
      this.#exchanger.settle({ task, outcome });
    } else {
      this.#counters.leaseLost += 1;
      this.#exchanger.freed();
    }
  }

  #settled(settlements: readonly Settlement[], receipts: readonly SettleReceipt[]): void {
    this.#keeper!.drop(settlements.map(({ task }) => task.lease));
    settlements.forEach(({ task, outcome }, index) => {
      const receipt = receipts[index]!;
      this.#counters[receipt === "leaseLost" ? "leaseLost" : counterOf[outcome.kind]] += 1;
      const { queue, type, id } = task.message;
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
