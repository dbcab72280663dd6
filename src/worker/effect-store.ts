import type { EffectAnswer, EffectStep, Remembering } from "../broker/effects.js";
import { HoldfastError } from "../core/errors.js";
import { pause } from "../core/loop.js";
import type { Watch } from "./watch.js";

/** Asks storage, and again while it is away, until `signal` aborts. */
export type Remember = (step: EffectStep, signal: AbortSignal) => Promise<EffectAnswer>;

const firstPauseMs = 50;
const longestPauseMs = 1_000;

/** Steps of all handlers of a worker: what is asked in one turn of the event loop goes together. */
export class EffectStore {
  readonly #broker: Remembering;
  readonly #watch: Watch;
  #gathered: { readonly step: EffectStep; readonly resolve: (answer: Promise<EffectAnswer>) => void }[] = [];

  constructor(broker: Remembering, watch: Watch) {
    this.#broker = broker;
    this.#watch = watch;
  }

  /**
   * A step may be repeated, so a lost answer is asked for again: by itself, for what went wrong may be another's.
   * @throws BROKER_UNAVAILABLE BROKER_FAILED CLOSED
   */
  readonly remember: Remember = async (step, signal) => {
    let together = true;
    for (let pauseMs = firstPauseMs; ; pauseMs = Math.min(pauseMs * 2, longestPauseMs)) {
      try {
        // oxlint-disable-next-line no-await-in-loop -- one try after the other
        return await (together ? this.#gather(step) : this.#ask([step]).then(([answer]) => answer!));
      } catch (error) {
        const others = together && HoldfastError.is(error, "BROKER_FAILED");
        together = false;
        if (others) continue;
        if (!HoldfastError.is(error, "BROKER_UNAVAILABLE") || signal.aborted) throw error;
        // oxlint-disable-next-line no-await-in-loop -- likewise
        await pause(pauseMs * (0.5 + Math.random() / 2), signal);
      }
    }
  };

  #gather(step: EffectStep): Promise<EffectAnswer> {
    return new Promise((resolve) => {
      if (this.#gathered.length === 0) setImmediate(() => this.#flush());
      this.#gathered.push({ step, resolve });
    });
  }

  #flush(): void {
    const asked = this.#gathered;
    this.#gathered = [];
    const answers = this.#ask(asked.map(({ step }) => step));
    for (const [n, { resolve }] of asked.entries()) resolve(answers.then((all) => all[n]!));
  }
  #ask(steps: readonly EffectStep[]): Promise<EffectAnswer[]> {
    return this.#watch.call("noting an effect", () => this.#broker.remember(steps));
  }
}
