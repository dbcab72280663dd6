import { invalidOption, shown } from "./errors.js";
import { queueName } from "./names.js";

/** A queue and its weight: with weights 6, 3 and 1 the first is looked at first in 6 of 10 turns. */
export interface WeightedQueue {
  readonly name: string;
  readonly weight: number;
  /** At most so many of its tasks at once in one worker. */
  readonly concurrency: number | undefined;
}

/** A weight, or more: `{ weight: 1, concurrency: 2 }`. */
export type QueueOption = number | { readonly weight?: number; readonly concurrency?: number };

/** @throws OPTION_INVALID unless it is `{ name: weight }` with at least one queue, weights 1 … 1000, bounds 1 … 10000 */
export function weightedQueues(value: unknown, option: string): readonly WeightedQueue[] {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw invalidOption(option, `must be an object such as { critical: 6, default: 1 }, got ${shown(value)}`);
  }
  const queues = Object.entries(value).map(([name, given]: [string, unknown]) => {
    const at = `${option}.${name.slice(0, 64)}`;
    if (typeof given !== "object" || given === null)
      return { name: queueName(name, option), weight: whole(given, at, 1_000), concurrency: undefined };
    const { weight = 1, concurrency, ...others } = given as { weight?: unknown; concurrency?: unknown };
    for (const other of Object.keys(others))
      throw invalidOption(`${at}.${other.slice(0, 64)}`, "is not an option; there are weight, concurrency");
    return {
      name: queueName(name, option),
      weight: whole(weight, `${at}.weight`, 1_000),
      concurrency: concurrency === undefined ? undefined : whole(concurrency, `${at}.concurrency`, 10_000),
    };
  });
  if (queues.length === 0) throw invalidOption(option, "must name at least one queue, got none");
  return queues.sort((a, b) => b.weight - a.weight);
}

function whole(value: unknown, option: string, max: number): number {
  if (!Number.isInteger(value) || (value as number) < 1 || (value as number) > max)
    throw invalidOption(option, `must be a whole number, 1 … ${max}, got ${shown(value)}`);
  return value as number;
}

/**
 * The order in which to look at queues in one turn. Strict: by weight, highest first. Weighted: each next queue is
 * drawn with a chance of its weight over what is left, so that none starves; `random` answers 0 ≤ x < 1.
 * (By sorting random numbers to the power of 1 / weight: Efraimidis and Spirakis, Weighted random sampling, 2006.)
 */
export function queueOrder(queues: readonly WeightedQueue[], strict: boolean, random: () => number): string[] {
  if (strict || queues.length === 1) return queues.map((queue) => queue.name);
  return queues
    .map(({ name, weight }) => ({ name, draw: random() ** (1 / weight) }))
    .sort((a, b) => b.draw - a.draw)
    .map(({ name }) => name);
}
