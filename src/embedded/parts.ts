import { HoldfastError } from "../core/errors.js";
import { inTime } from "../core/expiry.js";
import { portions } from "../core/portions.js";

/** Longer lists travel in parts, each of which is one transaction at the most. */
const tasksInCall = 1_000;

export const inParts = <T>(list: readonly T[]): T[][] => portions(list, tasksInCall);

/** What all parts answered, in order. @throws what a part threw: with an unknown outcome when another one got through */
export function allParts<T>(parts: readonly PromiseSettledResult<T[]>[]): T[] {
  const failed = parts.find((part) => part.status === "rejected");
  if (failed === undefined) return parts.flatMap((part) => (part as PromiseFulfilledResult<T[]>).value);
  throw parts.some((part) => part.status === "fulfilled") ? unknownOutcome(failed.reason) : failed.reason;
}

/** A part of the list is stored: sent again as it is, those tasks would find their own ids taken. */
function unknownOutcome(error: unknown): unknown {
  if (!HoldfastError.is(error, "BROKER_UNAVAILABLE")) return error;
  return new HoldfastError("BROKER_UNAVAILABLE", { ...error.data, outcome: "unknown" }, { cause: error.cause });
}

/**
 * Another process may hold the file for long. What was asked is carried out all the same, so the outcome is unknown.
 * @throws BROKER_UNAVAILABLE after `withinMs`
 */
export async function answered<T>(answer: Promise<T>, withinMs: number | undefined): Promise<T> {
  if (withinMs === undefined || withinMs > longestTimerMs) return answer;
  return inTime(answer, withinMs, () => {
    const problem = `no answer within ${Math.max(0, Math.ceil(withinMs))} ms`;
    return new HoldfastError("BROKER_UNAVAILABLE", { broker: "", problem, outcome: "unknown", taskIds: [] });
  });
}

/** Node's timers know no more. */
const longestTimerMs = 2 ** 31 - 1;
