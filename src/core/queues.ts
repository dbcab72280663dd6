import { invalidOption, shown } from "./errors.js";
import { queueName } from "./names.js";

/** A queue and its weight: with weights 6, 3 and 1 the first is looked at first in 6 of 10 turns. */
export interface WeightedQueue {
  readonly name: string;
  readonly weight: number;
}

/** @throws OPTION_INVALID unless it is `{ name: weight }` with at least one queue and weights 1 … 1000 */
export function weightedQueues(value: unknown, option: string): readonly WeightedQueue[] {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw invalidOption(option, `must be an object such as { critical: 6, default: 1 }, got ${shown(value)}`);
  }
  const queues = Object.entries(value).map(([name, weight]) => {
    if (!Number.isInteger(weight) || weight < 1 || weight > 1_000) {
      throw invalidOption(`${option}.${name.slice(0, 64)}`, `must be a whole number, 1 … 1000, got ${shown(weight)}`);
    }
    return { name: queueName(name, option), weight: weight as number };
  });
  if (queues.length === 0) throw invalidOption(option, "must name at least one queue, got none");
  return queues.sort((a, b) => b.weight - a.weight);
}

/**
 * The order in which to look at queues in one turn. Strict: by weight, highest first. Weighted: each next queue is
 * drawn with a chance of its weight over what is left, so that none starves; `random` answers 0 ≤ x < 1.
 */
export function queueOrder(queues: readonly WeightedQueue[], strict: boolean, random: () => number): string[] {
  if (strict || queues.length === 1) return queues.map((queue) => queue.name);
  const left = [...queues];
  let total = left.reduce((sum, queue) => sum + queue.weight, 0);
  const order: string[] = [];
  while (left.length > 0) {
    let draw = random() * total;
    let index = left.findIndex((queue) => (draw -= queue.weight) < 0);
    if (index < 0) index = left.length - 1;
    const [queue] = left.splice(index, 1);
    total -= queue!.weight;
    order.push(queue!.name);
  }
  return order;
}
