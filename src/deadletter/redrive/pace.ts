/** At least so much of the rate while it comes up to speed. */
const slowest = 0.1;
/** What was not used is kept for so long: a step that comes late does not make up for more. */
const savedMs = 1_000;

/** How many tasks may go now: a rate per second that comes up from a tenth of it, whatever the time between two looks. */
export class Pace {
  #saved = 0;
  #lastMs: number | undefined;

  /** A whole number; what is taken of it is told with `took`. */
  allowed(rate: number, rampMs: number, rampAtMs: number, nowMs: number): number {
    const share = rampMs === 0 ? 1 : Math.min(1, Math.max(slowest, (nowMs - rampAtMs) / rampMs));
    const passedMs = this.#lastMs === undefined ? savedMs : Math.min(savedMs, Math.max(0, nowMs - this.#lastMs));
    this.#lastMs = nowMs;
    const most = Math.max(1, (rate * share * savedMs) / 1_000);
    this.#saved = Math.min(most, this.#saved + (rate * share * passedMs) / 1_000);
    return Math.floor(this.#saved);
  }

  took(count: number): void {
    this.#saved = Math.max(0, this.#saved - count);
  }
}
