import { setTimeout as sleep } from "node:timers/promises";

/** Each call costs the comparison of two numbers; a look at the marks is one small script. */
const everyMs = 10_000;
/** While a failover is under way nobody can say which data there are. */
const againMs = 1_000;
const tries = 60;

/** The looks, none of which rejects; false: it could not be told. */
export interface WatchLooks {
  /** At everything: after a connection was made. */
  whole(): Promise<boolean>;
  /** Only whether the data are still the same. */
  quick(): Promise<boolean>;
}

/** Looks whether the data are still those that there were: after each connection, and every ten seconds of use. */
export class DataWatch {
  readonly #looks: WatchLooks;
  readonly #over = new AbortController();
  #looking: Promise<void> | undefined;
  #again = false;
  #nextMs = Number.POSITIVE_INFINITY;

  constructor(looks: WatchLooks) {
    this.#looks = looks;
  }

  /** A connection was made, or a queue is used for the first time: there may be other data behind it. */
  changed(): void {
    this.#again = true;
    this.#looking ??= this.#look().finally(() => {
      this.#looking = undefined;
    });
  }

  used(): void {
    if (performance.now() < this.#nextMs || this.#looking !== undefined) return;
    this.#nextMs = performance.now() + everyMs;
    this.#looking = this.#looks
      .quick()
      .then((same) => void (this.#again ||= !same))
      .finally(() => {
        this.#looking = undefined;
        if (this.#again) this.changed();
      });
  }

  async close(): Promise<void> {
    this.#over.abort();
    await this.#looking;
  }

  async #look(): Promise<void> {
    const { signal } = this.#over;
    for (let tried = 0; this.#again && tried < tries && !signal.aborted; tried++) {
      this.#again = false;
      this.#nextMs = performance.now() + everyMs;
      if (await this.#looks.whole()) tried = -1;
      else {
        this.#again = true;
        await sleep(againMs, undefined, { signal, ref: false }).catch(() => undefined);
      }
    }
  }
}
