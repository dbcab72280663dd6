import { HoldfastError } from "../core/errors.js";
import type { Desk } from "./desk.js";

/** Steps of the index of failure groups that a look at it waits for: workers and the monitor do the rest. */
const steps = 4;
const perStep = 500;

/** What died a moment ago comes to its group. A user who may only look sees what others have indexed. */
export async function bringUpToDate(
  { store, nowMs }: Pick<Desk, "store" | "nowMs">,
  queues: readonly string[],
): Promise<void> {
  try {
    for (let step = 0; step < steps; step += 1)
      if ((await store.indexDeadLetters(queues, perStep, nowMs(), step === 0)) < perStep) return;
  } catch (error) {
    if (!HoldfastError.is(error, "BROKER_FAILED")) throw error;
  }
}
