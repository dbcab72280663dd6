import { type TransferListItem, Worker } from "node:worker_threads";
import type { KeeperOptions, LeaseKeeper } from "../broker/broker.js";
import type { Signal, Subscription } from "../broker/roles.js";
import { HoldfastError } from "../core/errors.js";
import { threadFile } from "../core/thread-file.js";
import { memory } from "./database-file.js";
import { EmbeddedKeeper } from "./embedded-keeper.js";
import { EmbeddedSubscription } from "./embedded-subscription.js";
import type { Args, Reply, Verb } from "./embedded-store.js";
import type { FromThread, SentError, ThreadData, ToThread } from "./thread-protocol.js";

/** The process's own are not passed on; that Node 22 calls its SQLite experimental is known, and for nobody to act on. */
const execArgv = ["--disable-warning=ExperimentalWarning"];

interface Waiting {
  readonly resolve: (value: Reply<Verb>) => void;
  readonly reject: (error: HoldfastError) => void;
}

/**
 * The way to the thread of one store. The thread starts with the first call, and anew with the first call after its
 * death. It keeps the process alive while a call is under way, and not otherwise.
 */
export class StoreLink {
  readonly #data: ThreadData;
  readonly #waiting = new Map<number, Waiting>();
  readonly #keepers = new Map<number, EmbeddedKeeper>();
  readonly #subscriptions = new Map<number, EmbeddedSubscription>();
  #thread: Worker | undefined;
  #lost: HoldfastError | undefined;
  #numbers = 0;

  constructor(data: ThreadData) {
    this.#data = data;
  }

  /** @throws what the store answered, or BROKER_UNAVAILABLE with an unknown outcome when the thread died meanwhile */
  async call<V extends Verb>(verb: V, args: Args<V>, transfer: readonly TransferListItem[] = []): Promise<Reply<V>> {
    if (this.#lost !== undefined) throw this.#lost;
    const thread = (this.#thread ??= this.#start());
    const number = (this.#numbers += 1);
    say(thread, { to: "store", number, verb, args } as ToThread, transfer);
    if (this.#waiting.size === 0) thread.ref();
    return new Promise<Reply<Verb>>((resolve, reject) => this.#waiting.set(number, { resolve, reject })) as Promise<
      Reply<V>
    >;
  }

  keeper(options: KeeperOptions): LeaseKeeper {
    const number = (this.#numbers += 1);
    const keeper = new EmbeddedKeeper(number, options, {
      order: (order) => this.#thread && say(this.#thread, order),
      forget: () => this.#keepers.delete(number),
    });
    this.#keepers.set(number, keeper);
    return keeper;
  }

  /** In force when this resolves. @throws as a call does */
  async subscribe(queues: readonly string[], listener: (signal: Signal) => void): Promise<Subscription> {
    const number = (this.#numbers += 1);
    const subscription = new EmbeddedSubscription(number, queues, listener, {
      order: (order) => this.#thread && say(this.#thread, order),
      forget: () => this.#subscriptions.delete(number),
    });
    this.#subscriptions.set(number, subscription);
    const thread = this.#thread;
    if (thread !== undefined) subscription.introduce((order) => say(thread, order));
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
  async end(): Promise<void> {
    const thread = this.#thread;
    if (thread === undefined) return;
    this.#thread = undefined;
    thread.ref();
    const exited = new Promise((resolve) => thread.once("exit", resolve));
    say(thread, { to: "end" });
    await exited;
  }

  #start(): Worker {
    const thread = new Worker(threadFile("embedded/store-thread"), { workerData: this.#data, execArgv });
    thread.unref();
    thread.on("message", (message: FromThread) => this.#heard(message, thread));
    thread.on("error", (error) => this.#died(thread, error));
    thread.on("exit", (code) => this.#died(thread, new Error(`the thread ended with code ${code}`)));
    for (const keeper of this.#keepers.values()) keeper.introduce((order) => say(thread, order));
    for (const subscription of this.#subscriptions.values()) subscription.introduce((order) => say(thread, order));
    return thread;
  }

  #heard(message: FromThread, thread: Worker): void {
    if (message.from === "keeper") {
      const keeper = this.#keepers.get(message.keeper);
      if ("lost" in message) keeper?.lost(message.lost);
      else if ("cancelled" in message) keeper?.cancelled(message.cancelled);
      else keeper?.failed(received(message.error));
      return;
    }
    if (message.from === "lookout") {
      this.#subscriptions.get(message.subscriber)?.heard(message.signal);
      return;
    }
    const waiting = this.#waiting.get(message.number);
    this.#waiting.delete(message.number);
    if (this.#waiting.size === 0) thread.unref();
    if ("error" in message) waiting?.reject(received(message.error));
    else waiting?.resolve(message.value);
  }

  #died(thread: Worker, cause: unknown): void {
    if (this.#thread !== thread) return;
    this.#thread = undefined;
    const { label: broker, location } = this.#data;
    if (location === memory) {
      const problem = "its thread died, and what was stored in memory with it";
      this.#lost = new HoldfastError("BROKER_FAILED", { broker, problem }, { cause });
    }
    const problem = "its thread died";
    const error =
      this.#lost ??
      new HoldfastError("BROKER_UNAVAILABLE", { broker, problem, outcome: "unknown", taskIds: [] }, { cause });
    const waiting = [...this.#waiting.values()];
    this.#waiting.clear();
    for (const { reject } of waiting) reject(error);
    for (const keeper of this.#keepers.values()) keeper.failed(error);
    for (const subscription of this.#subscriptions.values()) subscription.lost();
  }
}

function say(thread: Worker, message: ToThread, transfer: readonly TransferListItem[] = []): void {
  thread.postMessage(message, transfer);
}

function received({ code, data, cause }: SentError): HoldfastError {
  return new HoldfastError(code, data, cause === undefined ? {} : { cause });
}
