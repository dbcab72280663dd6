import type { Clock } from "../../core/clock.js";
import type { Logger } from "../../core/log.js";
import { pause } from "../../core/loop.js";
import type { AlertBook, Stored } from "../alerts/book.js";
import { afterAttempt, firstOfEach, type Waiting } from "../alerts/notices.js";
import type { ResolvedMonitorConfig } from "../monitor-config.js";
import type { Channel } from "./channels.js";
import { type Mailer, mailOf } from "./mail.js";
import type { Notification } from "./notification.js";
import { postWebhook } from "./webhook.js";

/** Then it is given up: the alert itself is still listed, and what comes next is tried anew. */
const maxAttempts = 5;
const pauseGrows = 5;
/** In one step, over all channels at once. */
const together = 8;
/** A step must end while its lease lasts, whatever a channel or a name server does. */
const patienceMs = 6_000;

/** What has been delivered and what not, since this process runs. */
export interface DeliveryCounts {
  readonly sent: number;
  readonly failed: number;
  readonly givenUp: number;
}

/**
 * Brings notifications to their channels, those of one alert and channel in order. Each is taken from its alert only after
 * it was taken: a monitor that dies in between sends it again, with the same id.
 */
export class Delivery {
  readonly #config: ResolvedMonitorConfig;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #mailer: Mailer | undefined;
  readonly #counts = new Map<string, { sent: number; failed: number; givenUp: number }>();
  readonly #failingSinceMs = new Map<string, number>();

  constructor(config: ResolvedMonitorConfig, clock: Clock, log: Logger, mailer: Mailer | undefined) {
    this.#config = config;
    this.#clock = clock;
    this.#log = log;
    this.#mailer = mailer;
    for (const { name } of config.channels) this.#counts.set(name, { sent: 0, failed: 0, givenUp: 0 });
  }

  /** By channel. */
  get counts(): ReadonlyMap<string, DeliveryCounts> {
    return this.#counts;
  }

  /** How long each channel has taken nothing of what it was sent, ms. */
  undelivered(nowMs: number): Record<string, number> {
    return Object.fromEntries(
      this.#config.channels.map(({ name }) => [name, nowMs - (this.#failingSinceMs.get(name) ?? nowMs)]),
    );
  }

  /** Delivers some of what is due; true: there is more. Never rejects for a channel's sake. */
  async deliver(book: AlertBook): Promise<boolean> {
    const due = (await book.read()).flatMap((entry) => this.#dueOf(entry));
    await Promise.all(due.slice(0, together).map((one) => this.#attempt(book, one)));
    return due.length > together;
  }

  /** @throws what the channel says, in words for people */
  async send(channel: Channel, notification: Notification): Promise<void> {
    if (channel.kind === "webhook") return postWebhook(channel, notification, this.#clock.nowMs());
    if (this.#mailer === undefined) throw new Error("this monitor was not given a way to send e-mail");
    return this.#mailer(mailOf(channel, notification), channel);
  }

  #dueOf({ id, notices }: Stored): Due[] {
    const nowMs = this.#clock.nowMs();
    return firstOfEach(notices).flatMap((first) => (first.waiting.nextAtMs <= nowMs ? { id, ...first } : []));
  }

  async #attempt(book: AlertBook, { id, notification, waiting }: Due): Promise<void> {
    const channel = this.#config.channels.find(({ name }) => name === waiting.channel);
    const left = channel === undefined ? undefined : await this.#outcome(channel, notification, waiting);
    const change = ({ alert, notices }: Stored) => ({
      alert,
      notices: afterAttempt(notices, notification.id, waiting.channel, left),
    });
    await book.update(id, change, this.#clock.nowMs());
  }

  /** What is left to do; undefined: nothing. */
  async #outcome(channel: Channel, notification: Notification, waiting: Waiting): Promise<Waiting | undefined> {
    const { name } = channel;
    const counts = this.#counts.get(name)!;
    try {
      await inTime(this.send(channel, notification));
      counts.sent += 1;
      this.#failingSinceMs.delete(name);
      return undefined;
    } catch (error) {
      counts.failed += 1;
      const nowMs = this.#clock.nowMs();
      if (!this.#failingSinceMs.has(name)) this.#failingSinceMs.set(name, nowMs);
      const attempts = waiting.attempts + 1;
      const fields = { channel: name, rule: notification.rule, attempts, problem: problemOf(error) };
      if (attempts >= maxAttempts) {
        counts.givenUp += 1;
        this.#log.error(fields, "a notification could not be delivered: given up");
        return undefined;
      }
      this.#log.warn(fields, "a notification could not be delivered; trying again");
      return { ...waiting, attempts, nextAtMs: nowMs + this.#config.retryAfterMs * pauseGrows ** (attempts - 1) };
    }
  }
}

interface Due {
  readonly id: string;
  readonly notification: Notification;
  readonly waiting: Waiting;
}

async function inTime(work: Promise<void>): Promise<void> {
  const timer = new AbortController();
  const late = async () => {
    await pause(patienceMs, timer.signal);
    if (!timer.signal.aborted) throw new Error("it was not taken in time");
  };
  try {
    await Promise.race([work, late()]);
  } finally {
    timer.abort();
  }
}

/** A URL may hold a token: the system's own words do not, but a library's may. */
export const problemOf = (error: unknown): string =>
  (error instanceof Error ? error.message || error.name : String(error))
    .replaceAll(/\b[a-z][a-z+.-]*:\/\/\S+/gi, "(a URL)")
    .slice(0, 500);
