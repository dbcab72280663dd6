import { repeatHorizonMs } from "../broker/broker.js";
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
 * came through a spool ("s…") is remembered whatever its age, in a set of its own that lasts longer.
 */
export function rememberedIn(id: string, nowMs: number, spooled: boolean): number | string {
  const madeMs = idTimeMs(id);
  if (spooled && madeMs !== undefined) return `s${bucketOf(madeMs)}`;
  return madeMs === undefined || Math.abs(nowMs - madeMs) > repeatHorizonMs ? "" : bucketOf(madeMs);
}
