/** Each call costs the comparison of two numbers; a look at the marks is one small script. */
const everyMs = 10_000;
/** While a failover is under way nobody can say which data there are; on a replica, say, nobody ever can. */
const againMs = 1_000;
const longestMs = 60_000;
/** About an hour. After that the next connection or queue makes it look again. */
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
  #closed = false;
  #wake = () => {};
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
    this.#closed = true;
    this.#wake();
    await this.#looking;
  }

  async #look(): Promise<void> {
    let waitMs = againMs;
    for (let tried = 1; this.#again && !this.#closed; tried++) {
      this.#again = false;
      this.#nextMs = performance.now() + everyMs;
      if (await this.#looks.whole()) {
        tried = 0;
        waitMs = againMs;
        continue;
      }
      this.#again = tried < tries;
      if (this.#again && !this.#closed) await this.#pause(waitMs);
      waitMs = Math.min(2 * waitMs, longestMs);
    }
  }

  /** A connection that was made meanwhile does not end it: on a replica each call makes one. */
  async #pause(ms: number): Promise<void> {
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, ms).unref();
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}
