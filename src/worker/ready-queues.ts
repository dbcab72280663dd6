import { queueOrder, type WeightedQueue } from "../core/queues.js";

/** So many queues that are believed empty are looked at along with the others: a look at a few costs next to nothing. */
const spareLooks = 16;

/**
 * Which of a worker's queues may hold something: a turn with storage names those, and not a thousand that are empty.
 * Those that turn out dry are left out until a signal or the next poll.
 */
export class ReadyQueues {
  readonly #queues: readonly WeightedQueue[];
  readonly #strict: boolean;
  readonly #ready = new Set<string>();
  #spare = 0;

  constructor(queues: readonly WeightedQueue[], strict: boolean) {
    this.#queues = queues;
    this.#strict = strict;
    this.nudge();
  }

  /** There may be something in this queue; undefined: in any. */
  nudge(queue?: string): void {
    if (queue !== undefined) this.#ready.add(queue);
    else for (const { name } of this.#queues) this.#ready.add(name);
  }

  dry(queues: readonly string[]): void {
    for (const queue of queues) this.#ready.delete(queue);
  }

  /** Where to look now, in order. */
  inOrder(): string[] {
    return queueOrder(this.#candidates(), this.#strict, Math.random);
  }

  #candidates(): readonly WeightedQueue[] {
    const { length } = this.#queues;
    if (length <= spareLooks || this.#ready.size === length) return this.#queues;
    // Which of the dry ones have a look to spare goes round, by weight.
    const spare = new Set<string>();
    for (let n = 0; n < length && spare.size < spareLooks; n++) {
      const { name } = this.#queues[this.#spare++ % length]!;
      if (!this.#ready.has(name)) spare.add(name);
    }
    return this.#queues.filter(({ name }) => this.#ready.has(name) || spare.has(name));
  }
}
