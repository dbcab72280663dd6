import { HoldfastError } from "../core/errors.js";
import { portions } from "../core/portions.js";
import type { Desk } from "./desk.js";

/** Full steps of the index of failure groups that a look at it waits for: workers and the monitor do the rest. */
const steps = 4;
const perStep = 500;
/** Of more at once the answer might come too late. */
const queuesPerStep = 100;

/** What died a moment ago comes to its group. A user who may only look sees what others have indexed. */
export async function bringUpToDate(
  { store, nowMs }: Pick<Desk, "store" | "nowMs">,
  queues: readonly string[],
): Promise<void> {
  let left = steps;
  try {
    for (const some of portions(queues, queuesPerStep)) {
      let atOnce = true;
      while (left > 0 && (await store.indexDeadLetters(some, perStep, nowMs(), atOnce)) >= perStep) {
        left -= 1;
        atOnce = false;
      }
    }
  } catch (error) {
    if (!HoldfastError.is(error, "BROKER_FAILED")) throw error;
  }
}
