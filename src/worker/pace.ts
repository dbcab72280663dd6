/** Leased ahead is what this worker will have started within so long. */
const aheadMs = 100;
/** However fast handlers are: one more turn brings no more than this, and so much may have to go back. */
const mostAhead = 400;
/** Of each new gap so much goes into the mean. */
const weight = 1 / 20;

/**
 * How fast this worker gets through its tasks, told by the gaps between their ends while any is running: that holds for
 * handlers that wait, which end side by side, and for those that compute, which end one after the other. While slots are
 * free it could be faster, but then nothing has to wait.
 */
export class Pace {
  #gapMs: number | undefined;

  ended(gapMs: number): void {
    this.#gapMs = this.#gapMs === undefined ? gapMs : this.#gapMs + (gapMs - this.#gapMs) * weight;
  }

  /** What was leased ahead had to wait too long: nothing is, until handlers have shown to be quicker. */
  stalled(): void {
    this.#gapMs = 10 * aheadMs;
  }

  /** How many tasks may wait. */
  get ahead(): number {
    return this.#gapMs === undefined ? 0 : Math.min(mostAhead, Math.floor(aheadMs / Math.max(this.#gapMs, 0.01)));
  }
}
