export interface Rate {
  readonly perSecond: number;
  readonly burst: number;
}

/** So many a second, and `burst` at once after a pause. Whose turn is in the future has its place: turns come in order. */
export class TokenBucket {
  readonly #rate: Rate;
  readonly #clock: () => number;
  /** Below zero: what those who wait have taken in advance. */
  #tokens: number;
  #atMs: number;

  /** `clock` answers milliseconds, and never goes backwards. */
  constructor(rate: Rate, clock = () => performance.now()) {
    this.#rate = rate;
    this.#clock = clock;
    this.#tokens = rate.burst;
    this.#atMs = clock();
  }

  /**
   * How long until it is the turn of these, ms. They have taken it when that is no longer than `withinMs`. More at once
   * than the burst have their turn when the bucket is full, and those behind them wait for the whole.
   */
  take(count: number, withinMs: number): number {
    const { perSecond, burst } = this.#rate;
    const nowMs = this.#clock();
    this.#tokens = Math.min(burst, this.#tokens + ((nowMs - this.#atMs) * perSecond) / 1_000);
    this.#atMs = nowMs;
    const waitMs = Math.max(0, Math.ceil(((Math.min(count, burst) - this.#tokens) * 1_000) / perSecond));
    if (waitMs <= withinMs) this.#tokens -= count;
    return waitMs;
  }

  /** These were not used. */
  giveBack(count: number): void {
    this.#tokens += count;
  }
}
