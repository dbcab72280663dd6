export type BreakerState = "closed" | "degraded" | "open" | "halfOpen";

/**
 * What a call told of the storage it went to. Answers that a task's own fault explains (a duplicate, a taken id, a key of
 * the wrong type) are "well": storage was there and gave them.
 */
export type Sign =
  | "well"
  /** It answered, late. */
  | "slow"
  /** It answered that it takes no writes at present, or not enough replicas confirmed one. */
  | "impaired"
  /** No way to it, or no answer in time. */
  | "away";

/** This many calls without an answer, one begun after the other, open it. */
const strikesToOpen = 3;
/** So do this many calls within the window of which half got no answer. */
const callsToJudge = 20;
const windowS = 5;
/** More late answers than this, in each second of the window, degrade it: the 99th percentile is late. */
const lateShare = 0.01;
const firstProbeMs = 100;
const longestProbeMs = 5_000;
/** Tripped again so soon after it closed, it goes on backing off where it was: it had closed in vain. */
const relapseMs = 10_000;
/** It closes at most once in this time: until then a storage that is there again is degraded. */
const closesEveryMs = 5_000;

const relapsed = "it is there again, and was so a moment ago";

interface Second {
  readonly second: number;
  calls: number;
  away: number;
  slow: number;
}

/**
 * Decides whether calls go to a storage at all. A pure state machine: times are arguments (ms, monotonic), and nothing
 * here waits or sends. While open nobody's task is gambled with: its owner probes when `probeAtMs` has come.
 */
export class Breaker {
  readonly #random: () => number;
  readonly #onChange: (before: BreakerState) => void;
  #state: BreakerState = "closed";
  #reason = "";
  #probeAtMs = Number.POSITIVE_INFINITY;
  /** How often in a row it was probed in vain. */
  #vain = 0;
  #closedAtMs = Number.NEGATIVE_INFINITY;
  #strikes = 0;
  #struckAtMs = Number.NEGATIVE_INFINITY;
  #window: Second[] = [];

  constructor(onChange: (before: BreakerState) => void = () => {}, random: () => number = Math.random) {
    this.#onChange = onChange;
    this.#random = random;
  }

  get state(): BreakerState {
    return this.#state;
  }

  /** Why it is not closed; "" while it is. */
  get reason(): string {
    return this.#reason;
  }

  /** Infinity while there is nothing to probe for, or a probe is under way. */
  get probeAtMs(): number {
    return this.#probeAtMs;
  }

  /** A call that began at `startedAtMs` has ended. */
  heard(sign: Sign, problem: string, startedAtMs: number, nowMs: number): void {
    // It was sent before the breaker opened, and says nothing of what has happened since: the probe will.
    if (this.#state === "open" || this.#state === "halfOpen") return;
    const now = this.#count(sign, nowMs);
    if (sign === "away") this.#strike(problem, startedAtMs, nowMs);
    else this.#strikes = 0;
    if (this.#state !== "closed") return;
    if (sign === "impaired") this.#trip("degraded", problem, nowMs);
    if (sign === "slow" && this.#late(now)) this.#trip("degraded", "its answers come late", nowMs);
  }

  /** A probe is under way. */
  probing(): void {
    this.#probeAtMs = Number.POSITIVE_INFINITY;
    if (this.#state === "open") this.#become("halfOpen", this.#reason);
  }

  probed(sign: Sign, problem: string, nowMs: number): void {
    if (sign === "well") return this.#isThere(nowMs);
    this.#vain += 1;
    this.#probeLater(nowMs);
    if (this.#state === "halfOpen") this.#become(sign === "away" ? "open" : "degraded", problem);
    else if (sign === "away") this.#strike(problem, nowMs, nowMs);
  }

  /** Calls that were under way at the same time failed for one and the same reason: they are one strike. */
  #strike(problem: string, startedAtMs: number, nowMs: number): void {
    if (startedAtMs >= this.#struckAtMs) {
      this.#strikes += 1;
      this.#struckAtMs = nowMs;
    }
    const calls = sumOf(this.#window, "calls");
    const mostly = calls >= callsToJudge && sumOf(this.#window, "away") * 2 >= calls;
    if (this.#strikes >= strikesToOpen || mostly) this.#trip("open", problem, nowMs);
  }

  #trip(state: "degraded" | "open", problem: string, nowMs: number): void {
    if (this.#state === "closed") {
      this.#vain = nowMs - this.#closedAtMs < relapseMs ? this.#vain + 1 : 0;
      this.#probeLater(nowMs);
    }
    // From degraded to open: a probe is due, or under way, and stays so.
    this.#become(state, problem);
  }

  #isThere(nowMs: number): void {
    const fromMs = this.#closedAtMs + closesEveryMs;
    if (nowMs >= fromMs) return this.#close(nowMs);
    this.#probeAtMs = fromMs;
    if (this.#state === "halfOpen") this.#become("degraded", relapsed);
  }

  #close(nowMs: number): void {
    this.#closedAtMs = nowMs;
    this.#probeAtMs = Number.POSITIVE_INFINITY;
    this.#become("closed", "");
  }

  #become(state: BreakerState, reason: string): void {
    if (state === this.#state) return;
    const before = this.#state;
    this.#state = state;
    this.#reason = reason;
    this.#strikes = 0;
    this.#window = [];
    this.#onChange(before);
  }

  #probeLater(nowMs: number): void {
    const pauseMs = Math.min(firstProbeMs * 2 ** Math.min(this.#vain, 30), longestProbeMs);
    this.#probeAtMs = nowMs + pauseMs * (0.7 + this.#random() * 0.6);
  }

  #count(sign: Sign, nowMs: number): number {
    const second = Math.floor(nowMs / 1_000);
    if (this.#window.at(-1)?.second !== second) {
      this.#window = this.#window.filter((one) => one.second > second - windowS);
      this.#window.push({ second, calls: 0, away: 0, slow: 0 });
    }
    const last = this.#window.at(-1)!;
    last.calls += 1;
    if (sign === "away") last.away += 1;
    if (sign === "slow") last.slow += 1;
    return second;
  }

  #late(second: number): boolean {
    const recent = this.#window.filter((one) => one.second > second - windowS);
    return recent.length === windowS && recent.every(({ calls, slow }) => slow > calls * lateShare);
  }
}

const sumOf = (window: readonly Second[], what: "calls" | "away") => window.reduce((sum, one) => sum + one[what], 0);
