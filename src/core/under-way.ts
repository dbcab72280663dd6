import { HoldfastError } from "./errors.js";

/** What has been begun and must end before something can be closed. */
export class UnderWay {
  readonly #what: string;
  readonly #works = new Set<Promise<unknown>>();
  #closed = false;

  constructor(what: string) {
    this.#what = what;
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** @throws CLOSED after `end` */
  requireOpen(): void {
    if (this.#closed) throw new HoldfastError("CLOSED", { what: this.#what });
  }

  /** @throws CLOSED after `end`, and what the work throws */
  async run<T>(work: () => Promise<T>): Promise<T> {
    this.requireOpen();
    const done = work();
    this.#works.add(done);
    try {
      return await done;
    } finally {
      this.#works.delete(done);
    }
  }

  /** Take on nothing more, and wait until all has ended. */
  async end(): Promise<void> {
    this.#closed = true;
    await Promise.allSettled(this.#works);
  }
}
