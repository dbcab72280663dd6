import { repeatHorizonMs, replayMarginMs } from "../broker/broker.js";
import { ceilToS } from "../core/duration.js";
import { idTimeMs } from "../core/ids.js";

/**
 * Ids of finished and deleted tasks are remembered for as long as their enqueue may be repeated, in one set per ten
 * seconds: small enough to be freed without anyone waiting. Only ids of ours: they go by the time they were made, so that
 * one look finds them, and are never used again, as any other may be.
 */
export const bucketMs = 10_000;
export const bucketOf = (ms: number) => Math.floor(ms / bucketMs);

/**
 * Which set remembers this id; "" when it needs not be, or is too old to be repeated. prune.lua says the same. One that
 * came through a spool ("s…") is remembered whatever its age, in a set of its own that lasts longer, for as many seconds as
 * stand behind it, where that is more than usual.
 */
export function rememberedIn(id: string, nowMs: number, spooled = 0): number | string {
  const madeMs = idTimeMs(id);
  if (spooled > 0 && madeMs !== undefined) {
    return `s${bucketOf(madeMs)}${spooled > replayMarginMs ? `/${ceilToS(spooled)}` : ""}`;
  }
  return madeMs === undefined || Math.abs(nowMs - madeMs) > repeatHorizonMs ? "" : bucketOf(madeMs);
}
