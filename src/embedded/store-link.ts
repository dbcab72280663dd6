import type { TransferListItem } from "node:worker_threads";
import type { KeeperOptions, LeaseKeeper } from "../broker/broker.js";
import type { Signal, Subscription } from "../broker/roles.js";
import { HoldfastError } from "../core/errors.js";
import { memory } from "./database-file.js";
import { EmbeddedKeeper } from "./embedded-keeper.js";
import { EmbeddedSubscription } from "./embedded-subscription.js";
import type { Args, Reply, Verb } from "./embedded-store.js";
import { receivedError } from "./sent-error.js";
import { ThreadLink } from "./thread-link.js";
import type { ThreadData, ThreadNotice, ToThread } from "./thread-protocol.js";

/** The way to the thread of one store, and to those that listen to it. */
export class StoreLink {
  readonly #data: ThreadData;
  readonly #keepers = new Map<number, EmbeddedKeeper>();
  readonly #subscriptions = new Map<number, EmbeddedSubscription>();
  readonly #thread: ThreadLink<ToThread, Reply<Verb>, ThreadNotice>;
  #lost: HoldfastError | undefined;
  #numbers = 0;

  constructor(data: ThreadData) {
    this.#data = data;
    this.#thread = new ThreadLink({
      name: "embedded/store-thread",
      data: () => data,
      started: (say) => {
        for (const keeper of this.#keepers.values()) keeper.introduce(say);
        for (const subscription of this.#subscriptions.values()) subscription.introduce(say);
      },
      heard: (notice) => this.#heard(notice),
      died: (cause) => this.#died(cause),
    });
  }

  /** @throws what the store answered, or BROKER_UNAVAILABLE with an unknown outcome when the thread died meanwhile */
  async call<V extends Verb>(verb: V, args: Args<V>, transfer: readonly TransferListItem[] = []): Promise<Reply<V>> {
    if (this.#lost !== undefined) throw this.#lost;
    const order = (number: number) => ({ to: "store", number, verb, args }) as ToThread;
    return this.#thread.call(order, transfer) as Promise<Reply<V>>;
  }

  keeper(options: KeeperOptions): LeaseKeeper {
    const number = (this.#numbers += 1);
    const keeper = new EmbeddedKeeper(number, options, {
      order: (order) => this.#thread.say(order),
      forget: () => this.#keepers.delete(number),
    });
    this.#keepers.set(number, keeper);
    return keeper;
  }

  /** In force when this resolves. @throws as a call does */
  async subscribe(queues: readonly string[], listener: (signal: Signal) => void): Promise<Subscription> {
    const number = (this.#numbers += 1);
    const subscription = new EmbeddedSubscription(number, queues, listener, {
      order: (order) => this.#thread.say(order),
      forget: () => this.#subscriptions.delete(number),
    });
    this.#subscriptions.set(number, subscription);
    if (this.#thread.running) subscription.introduce((order) => this.#thread.say(order));
    try {
      // Answered when the thread has read what was said before it.
      await this.call("ping", {});
    } catch (error) {
      await subscription[Symbol.asyncDispose]();
      throw error;
    }
    return subscription;
  }

  /** Ends the thread when it has answered what it was asked. */
  end(): Promise<void> {
    return this.#thread.end({ to: "end" });
  }

  #heard(notice: ThreadNotice): void {
    if (notice.from === "lookout") {
      this.#subscriptions.get(notice.subscriber)?.heard(notice.signal);
      return;
    }
    const keeper = this.#keepers.get(notice.keeper);
    if ("lost" in notice) keeper?.lost(notice.lost);
    else if ("cancelled" in notice) keeper?.cancelled(notice.cancelled);
    else keeper?.failed(receivedError(notice.error));
  }

  #died(cause: unknown): HoldfastError {
    const { label: broker, location } = this.#data;
    if (location === memory) {
      const problem = "its thread died, and what was stored in memory with it";
      this.#lost = new HoldfastError("BROKER_FAILED", { broker, problem }, { cause });
    }
    const problem = "its thread died";
    const error =
      this.#lost ??
      new HoldfastError("BROKER_UNAVAILABLE", { broker, problem, outcome: "unknown", taskIds: [] }, { cause });
    for (const keeper of this.#keepers.values()) keeper.failed(error);
    for (const subscription of this.#subscriptions.values()) subscription.lost();
    return error;
  }
}
