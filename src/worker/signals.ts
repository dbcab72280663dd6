import type { Working } from "../broker/broker.js";
import type { Signalling, Subscription } from "../broker/roles.js";

export interface SignalEvents {
  /** There may be something to lease: in this queue, or in any. */
  readonly onWake: (queue: string | undefined) => void;
}

/** What a worker hears from storage between its turns. An engine that tells nothing is looked at more often. */
export class Signals {
  readonly #broker: Working & Partial<Pick<Signalling, "subscribe">>;
  readonly #queues: readonly string[];
  readonly #events: SignalEvents;
  #subscription: Subscription | undefined;

  constructor(
    broker: Working & Partial<Pick<Signalling, "subscribe">>,
    queues: readonly string[],
    events: SignalEvents,
  ) {
    this.#broker = broker;
    this.#queues = queues;
    this.#events = events;
  }

  /** @throws as the broker's `subscribe` */
  async start(): Promise<void> {
    this.#subscription = await this.#broker.subscribe?.(this.#queues, (signal) => {
      if (signal.kind === "wake") this.#events.onWake(signal.queue);
    });
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
    await this.#subscription?.[Symbol.asyncDispose]();
  }
}
