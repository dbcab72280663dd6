import type { Lease, Progress, Working } from "../broker/broker.js";
import type { Logger } from "../core/log.js";
import type { Watch } from "./watch.js";

/** A task's progress is written this often at the most; of what comes in between the last one counts. */
const everyMs = 1_000;

/** What handlers report, all tasks of the worker together. */
export class ProgressReports {
  readonly #broker: Working;
  readonly #log: Logger;
  readonly #watch: Watch;
  readonly #latest = new Map<string, Progress>();
  #timer: NodeJS.Timeout | undefined;
  #nextMs = 0;

  constructor(broker: Working, log: Logger, watch: Watch) {
    this.#broker = broker;
    this.#log = log;
    this.#watch = watch;
  }

  report(lease: Lease, bytes: Uint8Array): void {
    this.#latest.set(`${lease.token} ${lease.queue} ${lease.id}`, { lease, bytes });
    this.#timer ??= setTimeout(() => void this.#send(), this.#nextMs - performance.now()).unref();
  }

  /** What is not written by now is of no more use. */
  stop(): void {
    clearTimeout(this.#timer);
  }

  async #send(): Promise<void> {
    this.#timer = undefined;
    this.#nextMs = performance.now() + everyMs;
    const progress = [...this.#latest.values()];
    this.#latest.clear();
    try {
      await this.#watch.call("writing progress", () => this.#broker.report(progress));
    } catch (error) {
      this.#log.debug({ broker: this.#broker.label, tasks: progress.length, error }, "progress was not written");
    }
  }
}
