/**
 * Counters of what is told together as `other`. Who is told apart changes, so this is no sum of what is there: it grows by what
 * each has grown while it was folded, from 0 when the monitor began, and never falls, as a counter must not.
 */
export class FoldedCounters {
  readonly #sums = new Map<string, number>();
  #last: ReadonlyMap<string, number> = new Map();
  #now = new Map<string, number>();

  /** One counter as it is now; `into` is the name of the sum that it is folded into, undefined while it is told apart. */
  add(member: string, value: number, into: string | undefined): void {
    this.#now.set(member, value);
    if (into === undefined) return;
    // What it was before anybody looked at it, it has not grown by.
    const grown = Math.max(0, value - (this.#last.get(member) ?? value));
    this.#sums.set(into, (this.#sums.get(into) ?? 0) + grown);
  }

  /** After a look: what was not in it is forgotten. */
  end(): void {
    this.#last = this.#now;
    this.#now = new Map();
  }

  sum(into: string): number {
    return this.#sums.get(into) ?? 0;
  }
}

/** The name of what is told together. */
export const other = "other";

/** The biggest of all, by name; all of them where there is room. One that is itself called "other" is told with the others. */
export function biggest(sizes: ReadonlyMap<string, number>, most: number): ReadonlySet<string> {
  if (sizes.size <= most) return new Set(sizes.keys());
  const sorted = [...sizes].filter(([name]) => name !== other).toSorted(([a, x], [b, y]) => y - x || (a < b ? -1 : 1));
  return new Set(sorted.slice(0, most).map(([name]) => name));
}
