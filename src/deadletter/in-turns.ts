import { portions } from "../core/portions.js";

/** So many at once, so that storage that is far away is not waited for thousands of times, nor asked all at once. */
const atOnce = 16;

/** Does it with each; answers in order. The first error ends it when those that are under way are done. */
export async function inTurns<T, R>(items: readonly T[], act: (item: T) => Promise<R>): Promise<R[]> {
  const answers: R[] = [];
  for (const some of portions(items, atOnce)) {
    for (const one of await Promise.allSettled(some.map(act))) {
      if (one.status === "rejected") throw one.reason;
      answers.push(one.value);
    }
  }
  return answers;
}
