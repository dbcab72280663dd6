import type { DataLoss, Incarnation } from "../broker/incarnation.js";
import type { OutageRecorder, Tallied } from "../broker/outage.js";
import { HoldfastError } from "../core/errors.js";
import type { Logger } from "../core/log.js";
import { tellBroker } from "../core/telemetry.js";
import { DataWatch } from "./data-watch.js";
import { type Evicting, EvictionWatch } from "./eviction-watch.js";
import { type Change, Incarnations, type On } from "./incarnations.js";
import { KnownQueues } from "./known-queues.js";
import type { LinkOptions } from "./link-options.js";
import type { RedisLink } from "./link.js";
import { UsedQueues } from "./used-queues.js";

/** For a look at which data there are. */
const lookMs = 2_000;

/** What it needs of its broker. */
export interface Guarded {
  readonly log: Logger;
  readonly tally: Tallied;
  recorder(): OutageRecorder | undefined;
  hasSpool(): boolean;
  /** The user takes it that the server deletes tasks. */
  readonly allowEviction: boolean;
  /** What the user may not do; told with each look. */
  onForbidden(problem: string): void;
}

/** Looks whether the data of the queues in use are still those that there were, and tells what has become of them. */
export class DataGuard {
  readonly used: UsedQueues;
  readonly known = new KnownQueues();
  readonly #link: RedisLink;
  readonly #broker: Guarded;
  readonly #incarnations: Incarnations;
  readonly #watch: DataWatch;
  readonly #evictions: EvictionWatch;
  #begun = false;

  constructor(link: RedisLink, options: LinkOptions, broker: Guarded) {
    this.#link = link;
    this.#broker = broker;
    this.#incarnations = new Incarnations(link, options, {
      onChanged: (change) => this.#changed(change),
      onLost: (...loss) => this.#lost(...loss),
      onForbidden: (problem) => broker.onForbidden(problem),
    });
    this.#evictions = new EvictionWatch(link, (evicting) => this.#evicting(evicting));
    this.#watch = new DataWatch({ whole: () => this.#look(), quick: () => this.#glance() });
    this.used = new UsedQueues(() => {
      // One server has them all.
      if (link.oneSlotPerCall && this.#begun) this.#watch.changed();
    });
    link.onConnected(() => this.#begun && this.#watch.changed());
  }

  /** The server is fit: from now on each connection is followed by a look. */
  begin(): void {
    this.#begun = true;
    this.#watch.changed();
  }

  /** With each call: one in ten seconds is followed by a glance. */
  called(): void {
    this.#watch.used();
  }

  get trustAfterMs(): number {
    return this.#incarnations.trustAfterMs;
  }

  incarnations(queues: readonly string[], withinMs: number): Promise<(Incarnation | undefined)[]> {
    return this.#incarnations.of(queues, withinMs);
  }

  /** It looks no more by itself; what is asked for is still answered. */
  async rest(): Promise<void> {
    await this.#watch.close();
  }

  async close(): Promise<void> {
    this.#incarnations.close();
    await this.known.close(this.#link);
  }

  /** Answers whether it could be told; never rejects. */
  async #look(): Promise<boolean> {
    const [told] = await Promise.all([this.#lookAtData(), this.#lookForEviction()]);
    return told;
  }

  async #lookAtData(): Promise<boolean> {
    const queues = this.used.names;
    try {
      const found = await this.#incarnations.of(queues.length > 0 ? queues : [""], lookMs, this.#broker.hasSpool());
      return found.every((one) => one !== undefined);
    } catch (error) {
      if (!HoldfastError.is(error, "BROKER_INCOMPATIBLE")) return false;
      return this.#incarnations.marksAlone(lookMs).then(
        () => true,
        () => false,
      );
    }
  }

  /** Answers whether the data are the same; with a connection that is lost there will be a look anyway. */
  async #glance(): Promise<boolean> {
    const same = this.#incarnations.areSame(lookMs).catch(() => true);
    await Promise.all([same, this.#lookForEviction()]);
    return same;
  }

  async #lookForEviction(): Promise<void> {
    if (!this.#broker.allowEviction) await this.#evictions.look(lookMs);
  }

  #evicting(evicting: Evicting): void {
    const { log, tally } = this.#broker;
    const broker = this.#link.label;
    if (evicting.evicted > 0) tally.dataLosses += 1;
    if (evicting.policy === "noeviction" && evicting.evicted === 0) log.info({ broker, ...evicting }, keptAgainSays);
    else log.error({ broker, ...evicting }, evicting.evicted > 0 ? evictedSays : mayEvictSays);
    tellBroker({ event: "evicting", broker, ...evicting });
  }

  /** The server may lack what it had. */
  #changed({ queues: looked, changed, keptUntilMs, appendOnly, incarnation }: Change): void {
    const { log, tally } = this.#broker;
    const broker = this.#link.label;
    this.known.clear();
    tally.incarnationChanges += 1;
    const queues = looked.filter((name) => name !== "");
    log.warn({ broker, changed, queues: queues.length }, changedSays);
    tellBroker({ event: "incarnationChanged", broker, queues, changed, keptUntilMs });
    const kind = changed.some((name) => ["address", "epoch", "owner"].includes(name)) ? "elsewhere" : "restarted";
    this.#broker.recorder()?.changed({ kind, problem: "", keptUntilMs, appendOnly, incarnation });
  }

  #lost({ problem, keptUntilMs }: DataLoss, on: On): void {
    const { log, tally } = this.#broker;
    const broker = this.#link.label;
    this.known.clear();
    tally.dataLosses += 1;
    log.error({ broker, problem }, lostSays);
    tellBroker({ event: "dataLost", broker, problem, keptUntilMs });
    const kind = keptUntilMs === undefined ? "other" : "older";
    this.#broker.recorder()?.changed({ kind, problem, keptUntilMs, ...on });
    // Queues that the data do not know any more, and that are used all the same, can be seen by everybody.
    this.known.enterLater(this.#link, this.used.filled);
  }
}

const changedSays =
  "Redis was restarted, or is another server: what it acknowledged in the last moments before may be gone";
const mayEvictSays = "maxmemory-policy was changed: tasks are deleted when memory is full; set it to noeviction again";
const evictedSays = "Redis has deleted keys for want of memory, which may be tasks: set maxmemory-policy to noeviction";
const keptAgainSays = "maxmemory-policy is noeviction again";
const lostSays =
  "Redis has lost data: find out what emptied or restarted it, and enqueue again what nobody else has; " +
  "spooled tasks are sent again by themselves";
