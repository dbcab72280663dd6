import { expireAfter } from "./expiry.js";

const mebibyte = 1_048_576;

/** However well it goes on, no more than this may wait. */
const mostBytes = 512 * mebibyte;
/** What waits for something that hangs takes no more memory than this, or than one piece of work. */
const mostStuckBytes = 64 * mebibyte;
/** After so long without the end of any, what they wait for hangs. */
const stuckAfterMs = 1_000;

/** Bytes that wait for something that may hang for hours, such as a disk. */
export class Backlog {
  readonly #stuckAfterMs: number;
  #bytes = 0;
  #stuck = false;
  #stop = () => {};

  constructor(stuckAfter = stuckAfterMs) {
    this.#stuckAfterMs = stuckAfter;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** A burst has: there is none only while nothing goes on, or where memory would end. */
  hasRoomFor(bytes: number): boolean {
    return this.#bytes === 0 || this.#bytes + bytes <= (this.#stuck ? mostStuckBytes : mostBytes);
  }

  /** The bytes wait until that has ended. Rejects as it does. */
  async hold<T>(bytes: number, work: Promise<T>): Promise<T> {
    this.#bytes += bytes;
    if (this.#bytes === bytes) this.#watch();
    try {
      return await work;
    } finally {
      this.#bytes -= bytes;
      this.#watch();
    }
  }

  /** From now on. */
  #watch(): void {
    this.#stop();
    this.#stuck = false;
    if (this.#bytes > 0) this.#stop = expireAfter(this.#stuckAfterMs, () => (this.#stuck = true));
  }
}
