import { HoldfastError } from "../core/errors.js";
import { within } from "../core/expiry.js";
import { isSystemError } from "./system-error.js";

/** A function is not asked more often, however often connections are opened. */
const everyMs = 1_000;
/** One that has not answered by then never will: it is asked anew. */
const hopelessMs = 30_000;

/** Why there is no answer. */
export class Unanswered extends Error {}

/** What may change while we run, a password or certificates: a function of the user's tells it. */
export class Asked<T> {
  readonly #name: string;
  readonly #ask: () => T | Promise<T>;
  readonly #checked: (value: unknown, name: string) => T;
  #asking: Promise<void> | undefined;
  #askedAtMs = Number.NEGATIVE_INFINITY;
  #known: T | undefined;
  #trouble: Unanswered | undefined;
  #refused: T | undefined;

  /** @param checked throws OPTION_INVALID for an answer that is none; `known` is what another has been told. */
  constructor(name: string, ask: () => T | Promise<T>, checked: (value: unknown, name: string) => T, known?: T) {
    this.#name = name;
    this.#ask = ask;
    this.#checked = checked;
    this.#known = known;
  }

  /** The last good answer. */
  get known(): T | undefined {
    return this.#known;
  }

  /** The present answer; the last good one where the function fails or takes longer, for that may do. Never rejects. */
  async value(withinMs: number): Promise<T | Unanswered> {
    const passedMs = performance.now() - this.#askedAtMs;
    if (passedMs >= (this.#asking === undefined ? everyMs : hopelessMs)) this.#begin();
    if (this.#asking !== undefined) await within(this.#asking, withinMs);
    if (this.#known !== undefined) return this.#known;
    return this.#trouble ?? new Unanswered(`${this.#name} has not answered within ${Math.ceil(withinMs)} ms`);
  }

  /** The server refuses that one. Answers another one, if there is one by now. */
  async insteadOf(refused: T, withinMs: number): Promise<T | undefined> {
    // Once at once: it may have been asked just before it changed.
    if (this.#refused !== refused && this.#known === refused) this.#askedAtMs = Number.NEGATIVE_INFINITY;
    this.#refused = refused;
    const value = await this.value(withinMs);
    return value instanceof Unanswered || value === refused ? undefined : value;
  }

  #begin(): void {
    this.#askedAtMs = performance.now();
    const asking = this.#hear().finally(() => {
      if (this.#asking === asking) this.#asking = undefined;
    });
    this.#asking = asking;
  }

  async #hear(): Promise<void> {
    try {
      this.#known = this.#checked(await this.#ask(), this.#name);
      this.#trouble = undefined;
    } catch (error) {
      this.#trouble = error instanceof Unanswered ? error : new Unanswered(`${this.#name} ${inWords(error)}`);
    }
  }
}

/** What the user's function throws is not shown, nor kept as a cause: it may hold what the secret was asked for with. */
function inWords(error: unknown): string {
  if (HoldfastError.is(error, "OPTION_INVALID")) return error.data.problem;
  // Of files and sockets.
  if (isSystemError(error) && "syscall" in error) return `has failed: ${error.message}`;
  return `has thrown ${error instanceof Error ? error.name : `a value of type ${typeof error}`}`;
}
