import type { Cancellation, Lease } from "../broker/broker.js";
import type { Subscription } from "../broker/roles.js";
import { HoldfastError } from "../core/errors.js";
import { pause } from "../core/loop.js";
import type { WorkerBroker } from "./options.js";

export interface SignalEvents {
  /** There may be something to lease: in this queue, or in any. */
  readonly onWake: (queue: string | undefined) => void;
  /** Of running tasks with this id. */
  readonly leasesOf: (id: string) => readonly Lease[];
  readonly onCancelled: (leases: readonly (Lease & { readonly how: Cancellation })[]) => void;
}

const againMs = 1_000;

/** What a worker hears from storage between its turns. An engine that tells nothing is looked at more often. */
export class Signals {
  readonly #broker: WorkerBroker;
  readonly #queues: readonly string[];
  readonly #events: SignalEvents;
  readonly #stopping = new AbortController();
  #subscription: Subscription | undefined;

  constructor(broker: WorkerBroker, queues: readonly string[], events: SignalEvents) {
    this.#broker = broker;
    this.#queues = queues;
    this.#events = events;
  }

  /** @throws as the broker's `subscribe` */
  async start(): Promise<void> {
    this.#subscription = await this.#broker.subscribe(this.#queues, (signal) => {
      if (signal.kind === "wake") this.#events.onWake(signal.queue);
      else void this.#cancel(signal.id);
    });
    // It may have been stopped meanwhile.
    if (this.#stopping.signal.aborted) await this.stop();
  }

  /** Whether a task that comes is told. */
  get listening(): boolean {
    return this.#subscription?.listening === true;
  }

  /** The worker has got something: until it says otherwise it looks by itself. */
  busy(): void {
    this.#subscription?.watch(false);
  }

  /** It has slots to fill and has found nothing. */
  idle(): void {
    this.#subscription?.watch(true);
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#subscription?.[Symbol.asyncDispose]();
  }

  /** An id says neither which queue's task is meant nor what is to become of it; asynq's own wish stands nowhere. */
  async #cancel(id: string): Promise<void> {
    const { signal } = this.#stopping;
    for (let leases = this.#events.leasesOf(id); leases.length > 0; leases = this.#events.leasesOf(id)) {
      const hows = await this.#asked(leases);
      if (hows !== undefined) {
        this.#events.onCancelled(leases.map((lease, n) => ({ ...lease, how: hows[n] ?? "retry" })));
        return;
      }
      await pause(againMs, signal);
      if (signal.aborted) return;
    }
  }

  /** `undefined` while storage does not answer. */
  async #asked(leases: readonly Lease[]): Promise<readonly (Cancellation | undefined)[] | undefined> {
    try {
      return await this.#broker.cancellations(leases);
    } catch (error) {
      if (HoldfastError.is(error, "BROKER_UNAVAILABLE")) return undefined;
      return [];
    }
  }
}
