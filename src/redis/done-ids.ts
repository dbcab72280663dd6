import { repeatHorizonMs } from "../broker/broker.js";
import { idTimeMs } from "../core/ids.js";

/**
 * Ids of finished and deleted tasks are remembered for as long as their enqueue may be repeated, in one set per ten
 * seconds: small enough to be freed without anyone waiting. An id of ours goes by the time it was made, so that one look
 * finds it; of any other the time is not known, so it goes by the time it was finished.
 */
export const bucketOf = (ms: number) => Math.floor(ms / 10_000);

/** How many sets back to look for an id whose time is not known. */
export const bucketsKept = 12;

/** Which set remembers this id; "" when it is too old to be repeated. */
export function rememberedIn(id: string, nowMs: number): number | "" {
  const madeMs = idTimeMs(id);
  if (madeMs === undefined) return bucketOf(nowMs);
  return Math.abs(nowMs - madeMs) > repeatHorizonMs ? "" : bucketOf(madeMs);
}
