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

/**
 * One storage that is there or not (of a Cluster: one node) with its breaker: hears how calls go, probes it by a ping while
 * it is away, and lets those wait who have the time.
 */
export class Endpoint {
  readonly #broker: string;
  readonly #shard: string;
  readonly #ping: () => Promise<void>;
  readonly #onUp: () => void;
  readonly #breaker = new Breaker(() => this.#changed());
  readonly #waiting = new Set<() => void>();
  #timer: NodeJS.Timeout | undefined;

  constructor(broker: string, shard: string, ping: () => Promise<void>, onUp: () => void) {
    this.#broker = broker;
    this.#shard = shard;
    this.#ping = ping;
    this.#onUp = onUp;
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

  /** Make a call for so many tasks, and hear how it goes. */
  async call<T>(tasks: number, work: () => Promise<T>, patienceMs = quickMs): Promise<T> {
    const startedAtMs = performance.now();
    try {
      const answer = await work();
      const nowMs = performance.now();
      this.#breaker.heard(nowMs - startedAtMs > patienceMs + tasks ? "slow" : "well", "", startedAtMs, nowMs);
      return answer;
    } catch (error) {
      this.#breaker.heard(...told(error), startedAtMs, performance.now());
      throw error;
    } finally {
      this.#probeInTime();
    }
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

  #changed(): void {
    const { state, reason } = this.#breaker;
    tellBroker({ event: "breaker", broker: this.#broker, shard: this.#shard, state, reason });
    if (state === "closed") this.#onUp();
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

  async #probe(): Promise<void> {
    // Where it was there all the time the ping shows how quick it is; otherwise most of its time went into waiting for it.
    const wasThere = this.usable;
    this.#breaker.probing();
    const startedAtMs = performance.now();
    try {
      await this.#ping();
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
