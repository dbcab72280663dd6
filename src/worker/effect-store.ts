import type { EffectAnswer, EffectStep, Remembering } from "../broker/effects.js";
import { HoldfastError } from "../core/errors.js";
import { pause } from "../core/loop.js";

/** Asks storage, and again while it is away, until `signal` aborts. */
export type Remember = (step: EffectStep, signal: AbortSignal) => Promise<EffectAnswer>;

const firstPauseMs = 50;
const longestPauseMs = 1_000;
/** Steps of all handlers of a worker: what is asked in one turn of the event loop goes together. */
export class EffectStore {
  readonly #broker: Remembering;
  #gathered: { readonly step: EffectStep; readonly resolve: (answer: Promise<EffectAnswer>) => void }[] = [];

  constructor(broker: Remembering) {
    this.#broker = broker;
  }

  /** A step may be repeated, so a lost answer is asked for again. @throws BROKER_UNAVAILABLE BROKER_FAILED CLOSED */
  readonly remember: Remember = async (step, signal) => {
    for (let pauseMs = firstPauseMs; ; pauseMs = Math.min(pauseMs * 2, longestPauseMs)) {
      try {
        // oxlint-disable-next-line no-await-in-loop -- one try after the other
        return await this.#ask(step);
      } catch (error) {
        if (!HoldfastError.is(error, "BROKER_UNAVAILABLE") || signal.aborted) throw error;
        // oxlint-disable-next-line no-await-in-loop -- likewise
        await pause(pauseMs * (0.5 + Math.random() / 2), signal);
      }
    }
  };

  #ask(step: EffectStep): Promise<EffectAnswer> {
    return new Promise((resolve) => {
      if (this.#gathered.length === 0) setImmediate(() => this.#flush());
      this.#gathered.push({ step, resolve });
    });
  }

  #flush(): void {
    const asked = this.#gathered;
    this.#gathered = [];
    const answers = this.#broker.remember(asked.map(({ step }) => step));
    for (const [n, { resolve }] of asked.entries()) resolve(answers.then((all) => all[n]!));
  }
}
