import type { Cancellation, Lease } from "../broker/broker.js";
import type { Subscription } from "../broker/roles.js";
import { HoldfastError } from "../core/errors.js";
import { loop, pause } from "../core/loop.js";
import type { Logger } from "../core/log.js";
import type { WorkerBroker } from "./options.js";
import type { Watch } from "./watch.js";

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
  readonly #watch: Watch;
  readonly #log: Logger;
  readonly #stopping = new AbortController();
  readonly #subscribed = new AbortController();
  #subscription: Subscription | undefined;

  constructor(
    broker: WorkerBroker,
    queues: readonly string[],
    { log, watch, ...events }: SignalEvents & { readonly log: Logger; readonly watch: Watch },
  ) {
    this.#broker = broker;
    this.#queues = queues;
    this.#events = events;
    this.#log = log;
    this.#watch = watch;
  }

  /** Resolves when it has tried once: signals are hints, and nothing has to wait for them. */
  async start(): Promise<void> {
    if (await this.#subscribe()) return;
    void loop(async () => ((await this.#subscribe()) ? this.#subscribed.abort() : undefined), {
      everyMs: againMs,
      signal: AbortSignal.any([this.#stopping.signal, this.#subscribed.signal]),
      onError: () => undefined,
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
    this.#stopping.abort();
    await this.#subscription?.[Symbol.asyncDispose]();
  }

  async #subscribe(): Promise<boolean> {
    const subscribing = this.#broker.subscribe(this.#queues, (signal) => {
      if (signal.kind === "wake") this.#events.onWake(signal.queue);
      else void this.#cancel(signal.id);
    });
    try {
      this.#subscription = await this.#watch.call("subscribing to signals", async () => subscribing);
    } catch (error) {
      // Given up, it may still come; another one is on its way then.
      subscribing.then(
        (late) => late[Symbol.asyncDispose](),
        () => undefined,
      );
      // Whoever takes turns says so.
      if (HoldfastError.is(error, "CLOSED")) return true;
      this.#log.warn(
        { broker: this.#broker.label, error },
        "no signals from storage: tasks are found by looking; trying again",
      );
      return false;
    }
    // It may have been stopped meanwhile.
    if (this.#stopping.signal.aborted) await this.stop();
    return true;
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
      return await this.#watch.call("looking for cancellations", () => this.#broker.cancellations(leases));
    } catch (error) {
      if (HoldfastError.is(error, "BROKER_UNAVAILABLE")) return undefined;
      return [];
    }
  }
}
