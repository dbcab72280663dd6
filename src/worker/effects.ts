import type { EffectAnswer, EffectStep } from "../broker/effects.js";
import type { LeasedTask } from "../broker/broker.js";
import { HoldfastError, invalidOption, shown } from "../core/errors.js";
import { taskName } from "../core/names.js";
import { encodePayload, json } from "../core/payload.js";
import type { Remember } from "./effect-store.js";

export interface OnceOptions<R> {
  /**
   * Called in place of the effect when it was begun before and nothing tells whether it was carried out: find out,
   * or carry it out again where that does no harm. What it answers is remembered as the effect's result. Without it `once`
   * throws EFFECT_INTERRUPTED.
   */
  readonly ifInterrupted?: () => R | Promise<R>;
}

/** JSON, in characters. */
const maxResult = 65_536;

/** The effects of one attempt at a task. */
export class Effects {
  readonly #leased: LeasedTask;
  readonly #signal: AbortSignal;
  readonly #remember: Remember;
  readonly #underWay = new Map<string, Promise<unknown>>();
  /** What may have happened in this attempt, though storage does not say that it is done. */
  readonly #inDoubt = new Set<string>();

  constructor(leased: LeasedTask, signal: AbortSignal, remember: Remember) {
    this.#leased = leased;
    this.#signal = signal;
    this.#remember = remember;
  }

  /** Within one attempt the same key is the same effect: who asks while it is under way gets what comes of it. */
  once<R>(key: string, effect: () => R | Promise<R>, options: OnceOptions<R> = {}): Promise<R> {
    taskName(key, "once");
    for (const [name, given] of Object.entries({ effect, ifInterrupted: options.ifInterrupted ?? effect }))
      if (typeof given !== "function") throw invalidOption(`once.${name}`, `must be a function, got ${shown(given)}`);
    const underWay = this.#underWay.get(key) as Promise<R> | undefined;
    if (underWay !== undefined) return underWay;
    const outcome = this.#once(key, effect, options).finally(() => this.#underWay.delete(key));
    this.#underWay.set(key, outcome);
    return outcome;
  }

  async #once<R>(key: string, effect: () => R | Promise<R>, { ifInterrupted }: OnceOptions<R>): Promise<R> {
    const { id } = this.#leased.message;
    const begun = await this.#step(key, { kind: "begin" });
    switch (begun.status) {
      case "done":
        return valueOf(begun.result);
      case "begun":
      case "interrupted": {
        const open = begun.status === "begun" && !this.#inDoubt.has(key);
        const act = open ? effect : ifInterrupted;
        if (act === undefined) throw new HoldfastError("EFFECT_INTERRUPTED", { id, key });
        return this.#carryOut(key, act);
      }
      case "leaseLost":
      case "open":
        throw new HoldfastError("LEASE_LOST", { id });
    }
    begun satisfies never;
  }

  async #carryOut<R>(key: string, effect: () => R | Promise<R>): Promise<R> {
    let value: R;
    try {
      value = await effect();
    } catch (error) {
      // An abort makes an effect throw in its midst: that says nothing of whether it happened.
      if (this.#signal.aborted) this.#inDoubt.add(key);
      // What an earlier attempt began stays in doubt, and so does what storage cannot be told of now.
      if (!this.#inDoubt.has(key)) await this.#step(key, { kind: "undone" }).catch(() => undefined);
      throw error;
    }
    this.#inDoubt.add(key);
    const answer = await this.#step(key, { kind: "done", result: this.#resultOf(key, value) });
    // Gone with its task, it is known here all the same. Another attempt may have told before: then that stays.
    return valueOf(answer.status === "done" ? answer.result : textOf(value));
  }

  #step(key: string, act: EffectStep["act"]): Promise<EffectAnswer> {
    return this.#remember({ lease: this.#leased.lease, key, act }, this.#signal);
  }

  /** @throws RESULT_INVALID: the effect has happened then, and stays in doubt */
  #resultOf(key: string, value: unknown): string {
    const { type } = this.#leased.message;
    const invalid = (problem: string) =>
      new HoldfastError("RESULT_INVALID", { type, problem: `once("${key}"): ${problem}` });
    let text: string;
    try {
      text = textOf(value);
    } catch (error) {
      throw invalid((error as HoldfastError<"PAYLOAD_INVALID">).data.problem);
    }
    if (text.length > maxResult) throw invalid(`${text.length} characters, at most ${maxResult} are allowed`);
    return text;
  }
}
const textOf = (value: unknown) => Buffer.from(encodePayload(json, value, "once")).toString();
const valueOf = (text: string) => json.decode(Buffer.from(text));
