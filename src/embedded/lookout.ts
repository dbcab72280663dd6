import type { Signal } from "../broker/roles.js";
import { Bell } from "./bell.js";
import { memory } from "./database-file.js";
import type { Answer, Call, EmbeddedStore } from "./embedded-store.js";
import type { Signs } from "./signs.js";

/** How often one looks whether other processes have written, should the bell not have been heard. */
const netMs = 500;
/** The shortest time between two looks, with somebody waiting for tasks and with nobody: those to be aborted can wait. */
const lookEveryMs = { awake: 1, busy: 50 };

interface Subscriber {
  readonly queues: ReadonlySet<string>;
  watching: boolean;
  /** It was woken for these since it last said that it watches. */
  readonly told: Set<string>;
  /** There was news that it has not been told of. */
  missed: boolean;
}

/**
 * Sees what the subscribers of this process want to hear of: tasks that wait, whoever put them there, and tasks that are
 * to be aborted. Looks after a commit of our own, when the bell is rung, and when the database says that it was changed.
 */
export class Lookout {
  readonly #store: EmbeddedStore;
  readonly #tell: (subscriber: number, signal: Signal) => void;
  readonly #bell: Bell | undefined;
  readonly #subscribers = new Map<number, Subscriber>();
  #net: NodeJS.Timeout | undefined;
  #version: number | undefined;
  #cancelled: ReadonlySet<string> = new Set();
  #lookedAtMs = Number.NEGATIVE_INFINITY;
  #later: NodeJS.Timeout | undefined;

  constructor(store: EmbeddedStore, location: string, tell: (subscriber: number, signal: Signal) => void) {
    this.#store = store;
    this.#tell = tell;
    if (location !== memory) this.#bell = new Bell(`${location}-bell`, () => this.#haul());
  }

  subscribe(number: number, queues: readonly string[]): void {
    if (this.#subscribers.size === 0) this.#begin();
    this.#subscribers.set(number, { queues: new Set(queues), watching: true, told: new Set(), missed: false });
  }

  watch(number: number, on: boolean): void {
    const subscriber = this.#subscribers.get(number);
    if (subscriber === undefined) return;
    subscriber.watching = on;
    if (!on) return;
    subscriber.told.clear();
    // Only where there was news: what waits, and cannot be leased, must not wake it again and again.
    if (subscriber.missed) this.#lookSoon();
  }

  unsubscribe(number: number): void {
    this.#subscribers.delete(number);
    if (this.#subscribers.size === 0) this.#end();
  }

  /** These calls are committed. */
  committed(calls: readonly Call[], answers: readonly Answer[]): void {
    if (!calls.some((call, n) => isNews(call, answers[n]!))) return;
    this.#bell?.ring();
    this.#news();
  }

  close(): void {
    this.#end();
    this.#bell?.close();
  }

  #begin(): void {
    this.#version = this.#store.version();
    this.#cancelled = keysOf(this.#store.signs(false));
    // In memory nobody else can write.
    if (this.#bell === undefined) return;
    this.#bell.listen();
    this.#net = setInterval(() => {
      this.#bell?.listen();
      this.#haul();
    }, netMs);
  }

  #end(): void {
    this.#bell?.mute();
    clearInterval(this.#net);
    clearTimeout(this.#later);
  }

  /** One hears one's own bell, too; the version does not change by what one writes oneself. */
  #haul(): void {
    const version = this.#store.version();
    if (version === this.#version) return;
    this.#version = version;
    this.#news();
  }

  /** Somebody has written, or may have. */
  #news(): void {
    if (this.#subscribers.size === 0) return;
    for (const subscriber of this.#subscribers.values()) subscriber.missed = true;
    this.#lookSoon();
  }

  #lookSoon(): void {
    clearTimeout(this.#later);
    const isAwaited = [...this.#subscribers.values()].some(({ watching, told }) => watching && told.size === 0);
    const waitMs = this.#lookedAtMs + lookEveryMs[isAwaited ? "awake" : "busy"] - performance.now();
    if (waitMs <= 0) this.#look();
    else this.#later = setTimeout(() => this.#look(), waitMs);
  }

  #look(): void {
    this.#lookedAtMs = performance.now();
    const isAwaited = [...this.#subscribers.values()].some(({ watching }) => watching);
    const signs = this.#store.signs(isAwaited);
    const fresh = signs.cancelled.filter(({ key }) => !this.#cancelled.has(key));
    this.#cancelled = keysOf(signs);
    for (const [number, subscriber] of this.#subscribers) {
      const { queues } = subscriber;
      for (const { queue, id } of fresh) if (queues.has(queue)) this.#tell(number, { kind: "cancel", id });
      this.#wake(number, subscriber, signs.waiting);
    }
  }

  #wake(number: number, subscriber: Subscriber, waiting: readonly string[]): void {
    const { queues, told, watching } = subscriber;
    subscriber.missed = !watching;
    if (!watching) return;
    for (const queue of waiting) {
      if (!queues.has(queue)) continue;
      if (told.has(queue)) subscriber.missed = true;
      else this.#tell(number, { kind: "wake", queue });
      told.add(queue);
    }
  }
}

const keysOf = ({ cancelled }: Signs): ReadonlySet<string> => new Set(cancelled.map(({ key }) => key));

/** Whether the call may have brought something that others wait for. */
function isNews({ verb, args }: Call, answer: Answer): boolean {
  if ("error" in answer) return false;
  if (verb === "promote") return (answer.value as { moved: number }).moved > 0;
  if (verb === "reclaim") return (answer.value as readonly unknown[]).length > 0;
  if (verb === "exchange") return args.rows.some(({ to }) => to === "pending");
  if (verb === "move") return args.to === "pending";
  return verb === "enqueue" || verb === "setPaused" || verb === "cancel";
}
