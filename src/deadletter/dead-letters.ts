import type { DeadLetterStore } from "../broker/dead-letters.js";
import { invalidOption, shown } from "../core/errors.js";
import { newId } from "../core/ids.js";
import { type Given, resolve } from "../core/settings.js";
import type { InspectorBroker } from "../inspector/inspector.js";
import { actOf, byOptions, inspectorSettings, thisProcess } from "../inspector/options.js";
import type { QueueInfo } from "../core/info.js";
import type { Desk } from "./desk.js";
import type { SearchOptions } from "./search/options.js";
import type { SearchPage } from "./search/scan.js";
import { search, searchAll, type SearchAllOptions } from "./search/search.js";

const deadLettersSettings = { actor: inspectorSettings.actor };
export type DeadLettersOptions = Given<typeof deadLettersSettings>;

/** What `connect` answers. */
export type DeadLettersBroker = InspectorBroker & { readonly deadLetters?: DeadLetterStore | undefined };

/**
 * Operates the dead letters of all queues: what failed, why, how often, and what to do about it. Every act says who did it
 * and why.
 *
 * @example
 * const letters = new DeadLetters(connect("redis://localhost:6379"));
 * console.table(await letters.queues());
 */
export class DeadLetters {
  readonly #desk: Desk;

  /** @throws OPTION_INVALID */
  constructor(broker: DeadLettersBroker, options?: DeadLettersOptions) {
    const store = broker?.deadLetters;
    if (store === undefined) throw invalidOption("DeadLetters", `takes what connect() answers, got ${shown(broker)}`);
    const { actor = thisProcess() } = resolve(deadLettersSettings, options, "DeadLetters");
    this.#desk = {
      broker,
      store,
      nowMs: () => broker.clock.nowMs(),
      act: (by, verb) => actOf(byOptions(by, verb), actor, () => newId(broker.clock.nowMs())),
    };
  }

  /** Queues that have dead letters, by name. */
  async queues(): Promise<QueueInfo[]> {
    const queues = await this.#desk.broker.queues(this.#desk.nowMs());
    return queues.filter(({ counts }) => counts.archived > 0);
  }

  /**
   * One page of what a search finds, in all queues unless it names some: `queue:billing err~"timeout" failed:>2h`. What is
   * not indexed is looked through within bounds, so a page may hold few hits or none though there is more: go on with its
   * `cursor`. What becomes a dead letter after the first page is left out.
   * @throws SEARCH_INVALID with the column, and what is allowed there
   */
  async search(query: string, options?: SearchOptions): Promise<SearchPage> {
    return search(this.#desk, query, options);
  }

  /** All that a search finds, a step of at most 200 tasks after the other; ends early by its signal. @throws SEARCH_INVALID */
  searchAll(query: string, options?: SearchAllOptions): AsyncGenerator<SearchPage, void> {
    return searchAll(this.#desk, query, options);
  }
}
