import type { OutcomeCount } from "../../broker/outcome-counts.js";
import { reasons } from "../../core/outcome.js";
import { biggest, type FoldedCounters, other } from "./folded.js";

export interface TypeRows {
  /** Added up: no two of one queue, type, outcome and reason. */
  readonly rows: readonly OutcomeCount[];
  /** Types that have no name of their own. */
  readonly folded: number;
}

/** What an attempt may end with; Go programs and later versions may write other words. */
const outcomes: ReadonlySet<string> = new Set(["completed", "retry", "archived", "revoked", "released"]);
const words: ReadonlySet<string> = new Set(["", ...reasons]);
/** Queue and type together: of each type that is told apart, so many queues on average. */
const queuesPerType = 5;

/**
 * The types with most attempts each by itself, the rest together. A type in a queue of its own is bounded, too: what has few
 * attempts is told as of the queue "other".
 */
export function typeRows(
  counts: readonly OutcomeCount[],
  queuesApart: ReadonlySet<string>,
  most: number,
  counters: FoldedCounters,
): TypeRows {
  const sizes = sumBy(counts, ({ type }) => type);
  const types = biggest(sizes, most);
  const pairs = sumBy(
    counts.filter(({ queue, type }) => queuesApart.has(queue) && types.has(type)),
    pairOf,
  );
  const apart = biggest(pairs, most * queuesPerType);

  const rows = new Map<string, OutcomeCount>();
  for (const one of counts) {
    const own = one.queue !== other && one.type !== other && apart.has(pairOf(one));
    const row = {
      queue: own ? one.queue : other,
      type: types.has(one.type) ? one.type : other,
      outcome: outcomes.has(one.outcome) ? one.outcome : other,
      reason: words.has(one.reason) ? one.reason : other,
    };
    const key = keyOf(row);
    counters.add(keyOf(one), one.count, own ? undefined : key);
    const count = own ? (rows.get(key)?.count ?? 0) + one.count : counters.sum(key);
    rows.set(key, { ...row, count });
  }
  return { rows: [...rows.values()], folded: sizes.size - types.size };
}

const keyOf = ({ queue, type, outcome, reason }: Omit<OutcomeCount, "count">) =>
  `${queue}\n${type}\n${outcome}\n${reason}`;
const pairOf = ({ queue, type }: OutcomeCount) => `${queue}\n${type}`;

function sumBy(counts: readonly OutcomeCount[], nameOf: (one: OutcomeCount) => string): Map<string, number> {
  const sums = new Map<string, number>();
  for (const one of counts) sums.set(nameOf(one), (sums.get(nameOf(one)) ?? 0) + one.count);
  return sums;
}
