import { HoldfastError } from "../core/errors.js";
import type { Clock } from "../core/clock.js";
import type { Logger } from "../core/log.js";
import { tellBroker } from "../core/telemetry.js";

/**
 * What is watched is looked at so many times before it counts as stuck. Looks are counted and not time: a process that was
 * stopped, or whose handler blocked the event loop, has not waited for anybody meanwhile.
 */
const looks = 10;

interface Call {
  readonly what: string;
  looks: number;
  readonly giveUp: () => void;
}

/** A call that is not heard of so often in a row is told, while others are. */
const failuresToTell = 3;

/** A loop that must come round again and again. */
export interface WatchedLoop {
  readonly what: string;
  /** Another value each time it came round; undefined while there is nothing for it to do. */
  readonly rounds: () => number | undefined;
  /** It may rest for so long, ms, beside what everything watched may take. */
  readonly restMs: number;
  readonly wake: () => void;
}

export interface Trouble {
  readonly sinceMs: number;
  readonly problem: string;
}

/**
 * What a worker knows of its storage, from the calls that it makes; and that none of them, and no loop, hangs for
 * ever: what neither ends nor fails within `stuckAfter` is told, given up, and tried again by whoever made it.
 */
export class Watch {
  readonly #label: string;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #everyMs: number;
  readonly #calls = new Set<Call>();
  /** How often in a row each kind of call failed that does not say whether storage is there. */
  readonly #failures = new Map<string, number>();
  #timer: NodeJS.Timeout | undefined;
  #answeredAtMs = performance.now();
  #away: Trouble | undefined;
  /** What got stuck and has not come round since. */
  readonly #stuck = new Map<string, Trouble>();
  /** Since when nothing is wrong. */
  #wellSinceMs: number;

  constructor(broker: { readonly label: string; readonly clock: Clock }, stuckAfterMs: number, log: Logger) {
    this.#label = broker.label;
    this.#clock = broker.clock;
    this.#log = log;
    this.#everyMs = stuckAfterMs / looks;
    this.#wellSinceMs = this.#clock.nowMs();
  }

  start(loop: WatchedLoop): void {
    this.#wellSinceMs = this.#clock.nowMs();
    let rounds: number | undefined;
    let rested = 0;
    const most = looks + Math.ceil(loop.restMs / this.#everyMs);
    this.#timer = setInterval(() => {
      for (const call of this.#calls) if ((call.looks += 1) > looks) call.giveUp();
      const present = loop.rounds();
      rested = present === undefined || present !== rounds ? 0 : rested + 1;
      if (present !== rounds) this.#unstuck(loop.what);
      rounds = present;
      if (rested <= most) return;
      rested = 0;
      this.#gotStuck(loop.what);
      loop.wake();
    }, this.#everyMs).unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** Why storage cannot be reached, and since when; undefined while it answers. */
  get away(): Trouble | undefined {
    return this.#away;
  }

  /** What hangs, or did until it was given up and has not worked again. */
  get stuck(): Trouble | undefined {
    const [first] = this.#stuck.values();
    return first;
  }

  get wellSinceMs(): number {
    return this.#wellSinceMs;
  }

  /** For how long storage has not answered anything. */
  get silentMs(): number {
    return performance.now() - this.#answeredAtMs;
  }

  /**
   * Make a call to storage. Those that work hangs on `decide` whether storage is there: what fails for another reason, a
   * right that is missing, say, would have it come and go.
   * @throws as the call; BROKER_UNAVAILABLE, `unknown`, when it is given up
   */
  async call<T>(what: string, make: () => Promise<T>, { decides = false } = {}): Promise<T> {
    let giveUp = () => {};
    const givenUp = new Promise<never>((_resolve, reject) => {
      giveUp = () => {
        this.#gotStuck(what);
        const problem = `${what} neither ended nor failed within ${this.#everyMs * looks} ms, and is given up`;
        reject(
          new HoldfastError("BROKER_UNAVAILABLE", { broker: this.#label, problem, outcome: "unknown", taskIds: [] }),
        );
      };
    });
    const call = { what, looks: 0, giveUp };
    this.#calls.add(call);
    try {
      const answer = await Promise.race([make(), givenUp]);
      this.#unstuck(what);
      this.#answered(what, decides);
      return answer;
    } catch (error) {
      if (call.looks <= looks) this.#failed(what, error, decides);
      throw error;
    } finally {
      this.#calls.delete(call);
    }
  }

  #answered(what: string, decides: boolean): void {
    this.#answeredAtMs = performance.now();
    this.#failures.delete(what);
    if (!decides || this.#away === undefined) return;
    const nowMs = this.#clock.nowMs();
    const awayMs = nowMs - this.#away.sinceMs;
    this.#away = undefined;
    this.#wellSinceMs = nowMs;
    this.#log.warn({ broker: this.#label, awayMs }, "storage is back");
  }

  #failed(what: string, error: unknown, decides: boolean): void {
    if (HoldfastError.is(error, "CLOSED")) return;
    this.#unstuck(what);
    const unavailable = HoldfastError.is(error, "BROKER_UNAVAILABLE") || HoldfastError.is(error, "BROKER_INCOMPATIBLE");
    // One that is full refuses what would make it fuller, such as progress, and carries out what makes room.
    if (!unavailable || error.data.problem.startsWith("OOM ")) {
      this.#answered(what, decides);
      return;
    }
    const { problem } = error.data;
    if (!decides) return this.#failedAlone(what, problem);
    if (this.#away === undefined)
      this.#log.warn({ broker: this.#label, problem }, "storage is unavailable; trying until it is back");
    this.#away = { sinceMs: this.#away?.sinceMs ?? this.#clock.nowMs(), problem };
  }

  /** Said once: where storage is away, that is told of all. */
  #failedAlone(what: string, problem: string): void {
    const failures = this.#away === undefined ? (this.#failures.get(what) ?? 0) + 1 : 0;
    this.#failures.set(what, failures);
    if (failures === failuresToTell)
      this.#log.warn({ broker: this.#label, what, problem }, "storage does not take this call, and others it does");
  }

  #gotStuck(what: string): void {
    const afterMs = this.#everyMs * looks;
    const problem = `${what} got stuck`;
    this.#log.error({ broker: this.#label, what, afterMs }, "something in this worker got stuck; it is begun anew");
    tellBroker({ event: "stuck", broker: this.#label, what, afterMs });
    if (!this.#stuck.has(what)) this.#stuck.set(what, { sinceMs: this.#clock.nowMs() - afterMs, problem });
  }

  #unstuck(what: string): void {
    if (this.#stuck.delete(what)) this.#wellSinceMs = this.#clock.nowMs();
  }
}
