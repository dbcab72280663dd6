import type { LettersFrom, LetterMarks } from "../broker/letter-marks.js";
import { inTrips } from "../core/portions.js";

/** Dead letters that one trip looks at, of all its queues together, and of each at the least. */
const lettersPerTrip = 5_000;
const leastPerQueue = 10;
/** An acknowledgement may be taken back, and old dead letters come back from a file: so often all are looked at anew, if all have been. */
const anewEveryMs = 600_000;

export interface Oldest {
  /** When it died, Unix ms; undefined: there is none. */
  readonly atMs: number | undefined;
  /** Dead letters from it on: those that nobody has acknowledged, and what was acknowledged behind the oldest of them. */
  readonly count: number;
}

interface Known {
  readonly begunAtMs: number;
  readonly place: string | undefined;
  readonly oldest: Oldest | undefined;
  /** There may be an older one among those that have not been looked at. */
  readonly more: boolean;
}

/**
 * The oldest dead letter of each queue that nobody has acknowledged. Those that are acknowledged are passed some at a time,
 * look by look, and once: what a look costs does not grow with how many there are.
 */
export class OldestLetters {
  readonly #queuesPerTrip: number;
  #known: ReadonlyMap<string, Known> = new Map();

  constructor(queuesPerTrip: number) {
    this.#queuesPerTrip = queuesPerTrip;
  }

  /** Of these queues, in order; undefined where it is not known yet. */
  async look(
    store: Pick<LetterMarks, "oldestUnacknowledged">,
    queues: readonly string[],
    nowMs: number,
  ): Promise<(Oldest | undefined)[]> {
    const before = queues.map((queue) => this.#placeOf(queue, nowMs));
    const from = queues.map((queue, n): LettersFrom => ({ queue, place: before[n]!.place }));
    const answers = await inTrips(from, this.#queuesPerTrip, (some) =>
      store.oldestUnacknowledged(some, Math.max(leastPerQueue, Math.floor(lettersPerTrip / some.length))),
    );
    const known = answers.map(({ atMs, count, more, place }, n): Known => {
      const { begunAtMs, oldest } = before[n]!;
      return { begunAtMs, place, oldest: more ? oldest : { atMs, count }, more };
    });
    this.#known = new Map(queues.map((queue, n) => [queue, known[n]!]));
    return known.map(({ oldest }) => oldest);
  }

  #placeOf(queue: string, nowMs: number): Known {
    const known = this.#known.get(queue);
    // Not before it is through, however long that takes: it would never come to those further behind.
    if (known !== undefined && (known.more || nowMs - known.begunAtMs < anewEveryMs)) return known;
    return { begunAtMs: nowMs, place: undefined, oldest: known?.oldest, more: true };
  }
}
