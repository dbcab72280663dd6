import { HoldfastError } from "../../src/core/errors.js";

/** All that an engine may say of a key that another program has changed: in its scripts' words, or Redis's. */
const inTheWay = /^(.* is a \w+, not a \w+|.* does not hold a count)(; |$)|^WRONGTYPE .*: asynq:\{.*\}:groups$/s;
const longestMs = 2_000;

/** Calls of a broker as they may go: a typed error that names the key in the way is no breach, and is remembered. */
export class Calls {
  /** Typed errors that came. */
  readonly problems = new Set<string>();

  /** The answer, or `undefined` when storage could not, and said so as the contract has it. */
  async typed<T>(call: () => Promise<T>): Promise<T | undefined> {
    try {
      return await call();
    } catch (error) {
      if (!HoldfastError.is(error, "BROKER_FAILED") || !inTheWay.test(error.data.problem)) throw error;
      this.problems.add(error.data.problem);
      return undefined;
    }
  }

  /** A call and, while it says there is more, again at once: not for ever, and never in silence. */
  async often(what: string, call: () => Promise<{ count: number; more: boolean }>): Promise<number> {
    let happened = 0;
    for (let n = 0; ; n += 1) {
      if (n > 100) throw new Error(`${what} says for ever that there is more`);
      const startedMs = performance.now();
      const answer = await this.typed(call);
      const tookMs = performance.now() - startedMs;
      if (tookMs > longestMs) throw new Error(`${what} took ${Math.round(tookMs)} ms`);
      happened += answer?.count ?? 0;
      if (answer?.more !== true) return happened;
    }
  }
}
