import type { Signal, Subscription } from "../broker/roles.js";
import { DisciplinedClock } from "../core/clock.js";
import { within } from "../core/expiry.js";
import type { RedisLink } from "./link.js";
import { openConnection } from "./open-connection.js";
import type { RedisAddress } from "./redis-url.js";
import { RedisSubscription } from "./subscription.js";

/** How often it is looked whether queues are on other nodes by now; and how soon when a node says so. */
const regroupEveryMs = 5_000;
const regroupSoonMs = 1_000;
/** How much longer than for the first node it is waited for the others. */
const patienceMs = 500;

interface Group {
  readonly queues: readonly string[];
  readonly subscription: RedisSubscription;
}

interface ClusterSubscriptionEvents {
  readonly onForbidden: (problem: string) => void;
  readonly onClosed: () => void;
}

/** A subscription for each node of a Cluster, to the queues that are on it. Queues that move are followed. */
export class ClusterSubscription implements Subscription {
  /** Resolves when it listens, or could not at the first try. */
  readonly tried: Promise<void>;
  readonly #link: RedisLink;
  readonly #timeoutMs: number;
  readonly #queues: readonly string[];
  readonly #listener: (signal: Signal) => void;
  readonly #events: ClusterSubscriptionEvents;
  /** By the node's label. */
  readonly #groups = new Map<string, Group>();
  /** Nodes that do not have all the queues that they are thought to have. */
  readonly #astray = new Set<string>();
  #timer: NodeJS.Timeout | undefined;
  #regrouping: Promise<void> | undefined;
  #on = true;
  #closed = false;

  constructor(
    link: RedisLink,
    timeoutMs: number,
    queues: readonly string[],
    listener: (signal: Signal) => void,
    events: ClusterSubscriptionEvents,
  ) {
    this.#link = link;
    this.#timeoutMs = timeoutMs;
    this.#queues = queues;
    this.#listener = listener;
    this.#events = events;
    this.tried = this.#start();
  }

  async #start(): Promise<void> {
    await this.#regroup();
    const tries = [...this.#groups.values()].map(({ subscription }) => subscription.tried);
    if (tries.length === 0) return;
    await Promise.race(tries);
    // A node that is away holds up nobody.
    await within(Promise.all(tries), patienceMs);
  }

  get listening(): boolean {
    const groups = [...this.#groups.values()];
    const heard = groups.reduce((sum, { queues }) => sum + queues.length, 0);
    return heard === this.#queues.length && groups.every(({ subscription }) => subscription.listening);
  }

  watch(on: boolean): void {
    this.#on = on;
    for (const { subscription } of this.#groups.values()) subscription.watch(on);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    await this.#regrouping;
    await Promise.all([...this.#groups.values()].map(({ subscription }) => subscription[Symbol.asyncDispose]()));
    this.#events.onClosed();
  }

  #regroupIn(ms: number): void {
    clearTimeout(this.#timer);
    if (this.#closed) return;
    this.#timer = setTimeout(() => void this.#regroup(), ms).unref();
  }

  #regroup(): Promise<void> {
    this.#regrouping ??= this.#follow().finally(() => {
      this.#regrouping = undefined;
      this.#regroupIn(regroupEveryMs);
    });
    return this.#regrouping;
  }

  /** Never rejects: while the Cluster cannot be reached all stays as it is. */
  async #follow(): Promise<void> {
    const nodes = await this.#link.nodesOf(this.#queues).catch(() => undefined);
    if (nodes === undefined || this.#closed) return;
    const wanted = new Map<string, { address: RedisAddress; queues: string[] }>();
    for (const [n, { address }] of nodes.entries()) {
      const { label } = address;
      const there = wanted.get(label) ?? { address, queues: [] };
      there.queues.push(this.#queues[n]!);
      wanted.set(label, there);
    }
    for (const [label, { queues, subscription }] of this.#groups) {
      const asBefore = wanted.get(label)?.queues.join("\n") === queues.join("\n");
      if (asBefore && !this.#astray.has(label)) {
        wanted.delete(label);
      } else {
        this.#groups.delete(label);
        void subscription[Symbol.asyncDispose]();
      }
    }
    this.#astray.clear();
    for (const [label, { address, queues }] of wanted) this.#groups.set(label, this.#open(label, address, queues));
  }

  #open(label: string, address: RedisAddress, queues: readonly string[]): Group {
    const subscription = new RedisSubscription(
      {
        open: (...how) => openConnection(address, ...how),
        timeoutMs: this.#timeoutMs,
        oneSlotPerCommand: true,
      },
      new DisciplinedClock(),
      queues,
      (signal) => {
        // What is published is told by every node: that of one is enough, of one that is there.
        const [first] = [...this.#groups].find(([, group]) => group.subscription.listening) ?? [];
        if (signal.kind === "wake" || label === first) this.#listener(signal);
      },
      {
        onForbidden: this.#events.onForbidden,
        onElsewhere: () => {
          this.#astray.add(label);
          this.#regroupIn(regroupSoonMs);
        },
        onClosed: () => undefined,
      },
    );
    if (!this.#on) subscription.watch(false);
    return { queues, subscription };
  }
}
