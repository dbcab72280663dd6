import type { Documents } from "../broker/documents.js";
import { invalidOption, shown } from "../core/errors.js";
import { consoleLogger, type Logger, unfailing } from "../core/log.js";
import { loop } from "../core/loop.js";
import { AlertBook } from "./alerts/book.js";
import { MemoryDocuments } from "./alerts/memory-documents.js";
import type { Look } from "./alerts/rule.js";
import { settingsFor } from "./alerts/rule-settings.js";
import { ruleOf, rules } from "./alerts/rules.js";
import { severities } from "./alerts/severity.js";
import { Delivery } from "./delivery/delivery.js";
import type { Mailer } from "./delivery/mail.js";
import { Duties, type Duty } from "./duties.js";
import type { Facts } from "./facts.js";
import { exposition } from "./metrics/exposition.js";
import { StorageMetrics } from "./metrics/families.js";
import { ownFamilies } from "./metrics/own-families.js";
import { type MonitorConfig, type ResolvedMonitorConfig, resolveMonitorConfig } from "./monitor-config.js";
import { type MonitorBroker, Poll } from "./poll.js";
import { Trail } from "./trail.js";

export interface MonitorOptions extends MonitorConfig {
  /** Sends e-mail; without one, channels of kind "mail" fail. */
  readonly mailer?: Mailer;
  /** Done beside alerts and delivery. */
  readonly duties?: readonly Duty[];
  /** Default: warnings and errors on stderr. */
  readonly log?: Logger;
}

/** How a monitor is, for probes and people. */
export interface MonitorHealth {
  readonly state: "new" | "running" | "storage-down" | "stopped";
  /** When storage answered last, Unix ms. */
  readonly lookedAtMs: number | undefined;
  /** Duties that this process does; another one does the others, or none has begun yet. */
  readonly duties: readonly string[];
}

/** The longest window that a rule may have. */
const longestWindowMs = 3_600_000;
/** Delivery looks this often: half of what a person takes for at once. */
const deliverEveryMs = 1_000;

/**
 * Watches queues and dead letters: metrics for Prometheus, alerts that are told to people, and the duties that somebody has
 * to do. Any number may run: each duty is done by one of them.
 *
 * @example
 * await using monitor = new Monitor(connect("redis://localhost:6379"), { channels: [{ kind: "webhook", url }] });
 * monitor.start();
 */
export class Monitor implements AsyncDisposable {
  readonly #broker: MonitorBroker;
  readonly #config: ResolvedMonitorConfig;
  readonly #log: Logger;
  readonly #poll: Poll;
  readonly #trail = new Trail(longestWindowMs);
  readonly #metrics: StorageMetrics;
  readonly #book: AlertBook;
  /** What is told of storage that is away. */
  readonly #ownBook: AlertBook;
  readonly #delivery: Delivery;
  readonly #duties: Duties;
  readonly #stop = new AbortController();
  #running: Promise<unknown> | undefined;
  #facts: Facts | undefined;
  #downSinceMs: number | undefined;
  #firing: ReadonlyMap<string, number> = new Map();

  /** @throws OPTION_INVALID */
  constructor(broker: MonitorBroker, options: MonitorOptions = {}) {
    const store: Documents | undefined = broker?.deadLetters;
    if (store === undefined) throw invalidOption("Monitor", `takes what connect() answers, got ${shown(broker)}`);
    const { mailer, duties = [], log = consoleLogger, ...config } = options;
    this.#broker = broker;
    this.#config = resolveMonitorConfig(config);
    this.#log = unfailing(log);
    this.#poll = new Poll(broker, this.#config.pollEveryMs);
    this.#metrics = new StorageMetrics(this.#config, this.#trail);
    this.#book = new AlertBook(store, this.#config, this.#log);
    this.#ownBook = new AlertBook(new MemoryDocuments(), this.#config, this.#log);
    this.#delivery = new Delivery(this.#config, broker.clock, this.#log, mailer);
    const own: Duty[] = [
      { name: "alerts", everyMs: this.#config.pollEveryMs, step: () => this.#evaluate() },
      { name: "notifications", everyMs: this.#deliverEveryMs, step: () => this.#delivery.deliver(this.#book) },
    ];
    this.#duties = new Duties(store, [...own, ...duties], broker.clock, this.#log);
  }

  /** Begins; what fails later is told in the log, and tried again. */
  start(): void {
    if (this.#running !== undefined) return;
    const { signal } = this.#stop;
    const onError = (error: unknown) => this.#log.error({ error }, "the monitor failed; trying again");
    const looking = loop(() => this.#lookAround(), { everyMs: this.#config.pollEveryMs, signal, onError });
    const telling = loop(async () => void (await this.#delivery.deliver(this.#ownBook)), {
      everyMs: this.#deliverEveryMs,
      signal,
      onError,
    });
    this.#running = Promise.all([looking, telling, this.#duties.run(signal)]);
  }

  /** Ends what is under way and gives its duties back, for another monitor to take them at once. */
  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  health(): MonitorHealth {
    const state = this.#stop.signal.aborted
      ? "stopped"
      : this.#running === undefined
        ? "new"
        : this.#downSinceMs === undefined
          ? "running"
          : "storage-down";
    return { state, lookedAtMs: this.#facts?.atMs, duties: this.#duties.held };
  }

  /** In Prometheus's text format. While storage is away: what the monitor knows of itself. */
  async metrics(): Promise<string> {
    const facts = await this.#poll.look().catch(() => undefined);
    const ofStorage = facts === undefined ? [] : this.#metrics.families(facts);
    const nowMs = this.#broker.clock.nowMs();
    const own = ownFamilies({
      storageUp: facts !== undefined,
      failing: this.#duties.failing(nowMs),
      firing: this.#firing,
      counts: this.#delivery.counts,
      undelivered: this.#delivery.undelivered(nowMs),
    });
    return exposition([...ofStorage, ...own]);
  }

  get #deliverEveryMs(): number {
    return Math.min(deliverEveryMs, this.#config.pollEveryMs);
  }

  async #lookAround(): Promise<void> {
    try {
      this.#facts = await this.#poll.look();
      this.#trail.add(this.#facts);
      this.#downSinceMs = undefined;
    } catch (error) {
      if (this.#downSinceMs === undefined) this.#log.warn({ error }, "storage cannot be looked at; trying again");
      this.#downSinceMs ??= this.#broker.clock.nowMs();
    }
    await this.#judgeStorage();
  }

  /** No lease can be had while storage is away, so every monitor tells of it: with the same key, for receivers to merge. */
  async #judgeStorage(): Promise<void> {
    const nowMs = this.#broker.clock.nowMs();
    const downS = this.#downSinceMs === undefined ? 0 : Math.max(1, nowMs - this.#downSinceMs) / 1_000;
    const find = () => [{ labels: {}, value: downS }];
    const facts: Facts = { atMs: nowMs, queues: [], groups: undefined, types: undefined, servers: [] };
    await this.#ownBook.evaluate(this.#lookWith(facts), [{ ...ruleOf("StorageDown"), find }]);
  }

  async #evaluate(): Promise<void> {
    if (this.#facts === undefined || this.#downSinceMs !== undefined) return;
    const firing = await this.#book.evaluate(this.#lookWith(this.#facts), rules);
    this.#firing = new Map(severities.map((one) => [one, firing.filter(({ severity }) => severity === one).length]));
  }

  #lookWith(facts: Facts): Look {
    return {
      facts,
      trail: this.#trail,
      settingsOf: (rule, labels) => settingsFor(this.#config, rule, labels),
      failing: this.#duties.failing(facts.atMs),
      undelivered: this.#delivery.undelivered(facts.atMs),
    };
  }
}
