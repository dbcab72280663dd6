import type { Identifying, Incarnation } from "../broker/incarnation.js";
import { HoldfastError } from "../core/errors.js";
import { Doorbell } from "./doorbell.js";
import type { Answered, ReleaseRule, Trust, Verdict } from "./release.js";

/** A look may take this long; nothing is let go meanwhile. */
const withinMs = 2_000;

export interface LookEvents {
  /** These may leave the spool. */
  onReleased(tasks: readonly Answered[]): void;
  /** These are to be sent again. */
  onAgain(tasks: readonly Answered[]): void;
  /** As each queue's data were found. */
  onFound(found: Incarnation): void;
  onUnfit(error: HoldfastError<"BROKER_INCOMPATIBLE">): void;
  /** A look failed otherwise; said once, until one is well. */
  onTrouble(error: unknown): void;
}

/** Looks at the incarnations of queues as long as something was sent there that is not released, and before the first is. */
export class Looks {
  readonly #storage: Identifying;
  readonly #rule: ReleaseRule;
  readonly #trust: () => Trust;
  readonly #events: LookEvents;
  readonly #bell = new Doorbell();
  /** One at a time: what they find counts in the order in which they began. */
  #last: Promise<void> = Promise.resolve();
  #unfit: HoldfastError<"BROKER_INCOMPATIBLE"> | undefined;
  #inTrouble = false;

  constructor(storage: Identifying, rule: ReleaseRule, trust: () => Trust, events: LookEvents) {
    this.#storage = storage;
    this.#rule = rule;
    this.#trust = trust;
    this.#events = events;
  }

  /** Why storage can never say which data it has, as far as is known. */
  get unfit(): HoldfastError<"BROKER_INCOMPATIBLE"> | undefined {
    return this.#unfit;
  }

  /** Something was answered: look until it is released. */
  watch(): void {
    this.#bell.ring();
  }

  /** Look now, at these too. Never rejects: what cannot be told stays unknown. */
  at(queues: readonly string[]): Promise<void> {
    this.#last = this.#last.then(() => this.#safely([...new Set([...queues, ...this.#rule.queues()])]));
    return this.#last;
  }

  /** Whatever fails in one look, there is a next: without it nothing would leave the spool any more. */
  async #safely(queues: readonly string[]): Promise<void> {
    try {
      await this.#look(queues);
      this.#inTrouble = false;
    } catch (error) {
      const isNew = !this.#inTrouble;
      this.#inTrouble = true;
      if (isNew) this.#events.onTrouble(error);
    }
  }

  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.#bell.wait(this.#rule.size > 0 ? this.#everyMs() : Number.POSITIVE_INFINITY);
      if (this.#rule.size > 0 && !signal.aborted) await this.at([]);
    }
  }

  /** An incarnation that has ended does not come back, so none is missed between two looks. */
  #everyMs(): number {
    return Math.min(1_000, Math.max(50, this.#trust().afterMs / 20));
  }

  async #look(queues: readonly string[]): Promise<void> {
    const askedMs = performance.now();
    const found = await this.#ask(queues);
    if (found === undefined) return;
    const trust = this.#trust();
    const verdicts: Verdict[] = [];
    for (const [n, queue] of queues.entries()) verdicts.push(this.#rule.look(queue, found[n], askedMs, trust));
    const again = verdicts.flatMap((verdict) => verdict.again);
    const released = verdicts.flatMap((verdict) => verdict.released);
    if (again.length > 0) this.#events.onAgain(again);
    if (released.length > 0) this.#events.onReleased(released);
    for (const one of found) if (one !== undefined) this.#events.onFound(one);
  }

  /** Undefined where nothing was learned. */
  async #ask(queues: readonly string[]): Promise<(Incarnation | undefined)[] | undefined> {
    try {
      const found = await this.#storage.incarnations(queues, withinMs);
      this.#unfit = undefined;
      return found;
    } catch (error) {
      if (HoldfastError.is(error, "BROKER_INCOMPATIBLE")) {
        const isNew = this.#unfit === undefined;
        this.#unfit = error;
        if (isNew) this.#events.onUnfit(error);
      }
      return undefined;
    }
  }
}
