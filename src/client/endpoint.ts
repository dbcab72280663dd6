import { HoldfastError } from "../core/errors.js";
import { tellBroker } from "../core/telemetry.js";
import { Breaker, type BreakerState, type Sign } from "./breaker.js";

/** What calls told of one storage, or of one part of it. */
export interface EndpointHealth {
  /** The broker's label. */
  readonly broker: string;
  /** On a Cluster the node, "host:port", as far as it is known; otherwise "". */
  readonly shard: string;
  readonly state: BreakerState;
  /** Why it is not closed; "" while it is. */
  readonly reason: string;
}

/** An answer within this is quick, and a little later for each task of the call. */
const quickMs = 250;
/** While somebody waits, a probe is never further away than this. */
const longestWaitedForMs = 250;
/** Where it is in doubt whether it is there it is asked so soon, again and again, and has so long to answer. */
const doubtAfterMs = 100;
const doubtWithinMs = 500;

/**
 * One storage that is there or not (of a Cluster: one node) with its breaker: hears how calls go, probes it while it is
 * away or refuses, and lets those wait who have the time.
 */
export class Endpoint {
  readonly #broker: string;
  readonly #shard: string;
  readonly #probeStorage: (withinMs?: number) => Promise<void>;
  readonly #onChange: (state: BreakerState, before: BreakerState) => void;
  readonly #breaker = new Breaker((before) => this.#changed(before));
  readonly #waiting = new Set<() => void>();
  #timer: NodeJS.Timeout | undefined;
  #doubting: NodeJS.Timeout | undefined;

  /** `probe` resolves where storage takes what is sent, in that time if there is one. */
  constructor(
    broker: string,
    shard: string,
    probe: (withinMs?: number) => Promise<void>,
    onChange: (state: BreakerState, before: BreakerState) => void,
  ) {
    this.#broker = broker;
    this.#shard = shard;
    this.#probeStorage = probe;
    this.#onChange = onChange;
  }

  get health(): EndpointHealth {
    const { state, reason } = this.#breaker;
    return { broker: this.#broker, shard: this.#shard, state, reason };
  }

  /** Calls may go to it. */
  get usable(): boolean {
    return this.#breaker.state === "closed" || this.#breaker.state === "degraded";
  }

  /** Calls had better go to it than anywhere else. */
  get well(): boolean {
    return this.#breaker.state === "closed";
  }

  /** It is there, and in trouble. */
  get degraded(): boolean {
    return this.#breaker.state === "degraded";
  }

  /** Make a call for so many tasks, and hear how it goes. */
  async call<T>(tasks: number, work: () => Promise<T>, patienceMs = quickMs): Promise<T> {
    const startedAtMs = performance.now();
    try {
      const answer = await work();
      const nowMs = performance.now();
      this.#breaker.heard(nowMs - startedAtMs > patienceMs + tasks ? "slow" : "well", "", startedAtMs, nowMs);
      return answer;
    } catch (error) {
      this.#failed(error, startedAtMs);
      throw error;
    } finally {
      this.#probeInTime();
    }
  }

  /**
   * Somebody has had no answer, or cannot even ask: ask now and then, until it answers or is known to be away. Those who
   * call seldom, or for long, as a spool does, would not find out for many seconds.
   */
  doubt(): void {
    if (this.#doubting !== undefined || !this.well) return;
    this.#doubting = setTimeout(() => void this.#ask(), doubtAfterMs).unref();
  }

  /** Resolves with true as soon as calls may go to it, with false when they may not by then (`performance.now()`). */
  async usableBefore(untilMs: number): Promise<boolean> {
    if (this.usable) return true;
    await new Promise<void>((resolve) => {
      const end = () => {
        clearTimeout(timer);
        this.#waiting.delete(end);
        resolve();
      };
      const timer = setTimeout(end, Math.max(0, untilMs - performance.now()));
      this.#waiting.add(end);
      this.#probeInTime();
    });
    return this.usable;
  }

  #changed(before: BreakerState): void {
    const { state, reason } = this.#breaker;
    tellBroker({ event: "breaker", broker: this.#broker, shard: this.#shard, state, reason });
    this.#onChange(state, before);
    if (this.usable) for (const end of this.#waiting) end();
  }

  #probeInTime(): void {
    clearTimeout(this.#timer);
    const dueMs = this.#breaker.probeAtMs - performance.now();
    if (dueMs === Number.POSITIVE_INFINITY) return;
    const waitMs = this.#waiting.size > 0 ? Math.min(dueMs, longestWaitedForMs * (0.5 + Math.random() / 2)) : dueMs;
    // It alone keeps no process alive: those who wait do.
    this.#timer = setTimeout(() => void this.#probe(), waitMs).unref();
  }

  #failed(error: unknown, startedAtMs: number): void {
    const [sign, problem] = told(error);
    this.#breaker.heard(sign, problem, startedAtMs, performance.now());
    if (sign === "away") this.doubt();
  }

  async #ask(): Promise<void> {
    const startedAtMs = performance.now();
    const asked = this.#probeStorage(doubtWithinMs);
    const error = await asked.then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
    this.#doubting = undefined;
    if (error === undefined) this.#breaker.heard("well", "", startedAtMs, performance.now());
    else this.#failed(error, startedAtMs);
    this.#probeInTime();
  }

  async #probe(): Promise<void> {
    // Where it was there all the time the probe shows how quick it is; otherwise most of its time went into waiting for it.
    const wasThere = this.usable;
    this.#breaker.probing();
    const startedAtMs = performance.now();
    try {
      await this.#probeStorage();
      const nowMs = performance.now();
      const slow = wasThere && nowMs - startedAtMs > quickMs;
      this.#breaker.probed(slow ? "slow" : "well", slow ? "its answers come late" : "", nowMs);
    } catch (error) {
      this.#breaker.probed(...told(error), performance.now());
    }
    this.#probeInTime();
  }
}

/** What an error tells of the storage; one that is not about its being there is an answer, and the next call's to show. */
function told(error: unknown): [Sign, string] {
  if (!HoldfastError.is(error, "BROKER_UNAVAILABLE")) return ["well", ""];
  const { outcome, problem, acknowledged } = error.data;
  return [outcome === "refused" || acknowledged !== undefined ? "impaired" : "away", problem];
}
