import type { Signal, Subscription } from "../broker/roles.js";
import type { ToLookout } from "./thread-protocol.js";

type Order = (order: ToLookout) => void;

/** What a worker holds of its subscription; the looking is done by the Lookout in the store's thread. */
export class EmbeddedSubscription implements Subscription {
  readonly #number: number;
  readonly #queues: readonly string[];
  readonly #listener: (signal: Signal) => void;
  readonly #link: { readonly order: Order; readonly forget: () => void };
  #watching = true;
  /** Told while nobody wanted to know: the lookout does not tell it again. `undefined`: any queue. */
  readonly #missed = new Set<string | undefined>();
  #introduced = false;
  #listening = false;

  constructor(
    number: number,
    queues: readonly string[],
    listener: (signal: Signal) => void,
    link: { readonly order: Order; readonly forget: () => void },
  ) {
    this.#number = number;
    this.#queues = queues;
    this.#listener = listener;
    this.#link = link;
  }

  /** Also while the bell cannot be heard: a look twice a second makes up for it. */
  get listening(): boolean {
    return this.#listening;
  }

  watch(on: boolean): void {
    this.#watching = on;
    this.#link.order({ to: "lookout", subscriber: this.#number, act: "watch", on });
    if (!on) return;
    const missed = [...this.#missed];
    this.#missed.clear();
    for (const queue of missed) this.#listener({ kind: "wake", queue });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listening = false;
    this.#link.forget();
    this.#link.order({ to: "lookout", subscriber: this.#number, act: "unsubscribe" });
  }

  heard(signal: Signal): void {
    if (signal.kind === "cancel" || this.#watching) this.#listener(signal);
    else this.#missed.add(signal.queue);
  }

  /** To a thread that does not know it yet: what happened while there was none, nobody knows. */
  introduce(order: Order): void {
    order({ to: "lookout", subscriber: this.#number, act: "subscribe", queues: this.#queues });
    if (!this.#watching) order({ to: "lookout", subscriber: this.#number, act: "watch", on: false });
    if (this.#introduced) this.heard({ kind: "wake", queue: undefined });
    this.#introduced = true;
    this.#listening = true;
  }

  /** Its thread died; a new one is started with the next call. */
  lost(): void {
    this.#listening = false;
  }
}
