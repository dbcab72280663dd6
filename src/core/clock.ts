/** Tells the time; everything else in Holdfast is told it as a number (`nowMs`, Unix milliseconds). */
export interface Clock {
  nowMs(): number;
}

/** How much of a found offset is taken over at each look, so that time neither jumps nor runs backwards. */
const slewShare = 0.25;
/** An offset beyond this is taken over whole when it points forward: slewing 10 s would take too many looks. */
const jumpMs = 2_000;

/**
 * A clock that starts from the host's wall clock, runs on the monotonic clock, and follows a reference (Redis `TIME`)
 * by and by: a host whose wall clock is wrong, or jumps, neither steals nor loses leases. The first reading is taken
 * over whole, in either direction; from then on it never runs backwards.
 */
export class DisciplinedClock implements Clock {
  readonly #startMs = Date.now() - performance.now();
  #offsetMs = 0;
  #latestMs = 0;
  #observed = false;

  nowMs(): number {
    this.#latestMs = Math.max(this.#latestMs, Math.floor(this.#startMs + performance.now() + this.#offsetMs));
    return this.#latestMs;
  }

  /** How far the reference is ahead of this host's start-up wall clock, in ms, as far as it has been taken over. */
  get offsetMs(): number {
    return this.#offsetMs;
  }

  /** Take a reading of the reference clock, made within `roundTripMs` before now. */
  observe(referenceMs: number, roundTripMs: number): void {
    const error = referenceMs + roundTripMs / 2 - (this.#startMs + performance.now() + this.#offsetMs);
    const first = !this.#observed;
    this.#observed = true;
    // Within half a round trip the reading says nothing more.
    if (Math.abs(error) <= roundTripMs / 2 + 1) return;
    // A host that is ahead would stand still for as long as it is ahead, and take others' leases for expired meanwhile.
    if (first) this.#latestMs = 0;
    this.#offsetMs += first || error > jumpMs ? error : error * slewShare;
  }
}

/** The host's wall clock: a reference for the clocks of one machine, and nothing to decide by. */
export const systemClock: Clock = { nowMs: () => Date.now() };
