import { repeatHorizonMs, type TaskRef } from "../broker/broker.js";
import { idTimeMs } from "../core/ids.js";
import type { Sql } from "./sql.js";

/**
 * Ids of tasks that are over and deleted, for as long as their enqueue may still be repeated, by the minute: present
 * minute and two before are looked at, older ones are swept.
 */
const minuteOf = (nowMs: number) => Math.floor(nowMs / 60_000);
const minutesKept = 2;

/** Young ids of ours alone: an older one is not sent again, and one of the caller's own may be meant for another task. */
export function rememberFinished(sql: Sql, refs: readonly TaskRef[], nowMs: number): void {
  let remembered = 0;
  for (const { queue, id } of refs) {
    const madeMs = idTimeMs(id);
    if (madeMs === undefined || Math.abs(nowMs - madeMs) > repeatHorizonMs) continue;
    sql("INSERT INTO finished (minute, queue, id) VALUES (?, ?, ?) ON CONFLICT DO NOTHING").run(
      minuteOf(nowMs),
      queue,
      id,
    );
    remembered += 1;
  }
  // Twice what came in: the table shrinks while it is used, whatever maintenance does.
  if (remembered > 0) sweepFinished(sql, remembered * 2, nowMs);
}

export function finishedLately(sql: Sql, { queue, id }: TaskRef, nowMs: number): boolean {
  for (let minute = minuteOf(nowMs); minute >= minuteOf(nowMs) - minutesKept; minute -= 1) {
    if (sql("SELECT 1 FROM finished WHERE minute = ? AND queue = ? AND id = ?").get(minute, queue, id)) return true;
  }
  return false;
}

export function sweepFinished(sql: Sql, limit: number, nowMs: number): void {
  sql(
    "DELETE FROM finished WHERE (minute, queue, id) IN (SELECT minute, queue, id FROM finished WHERE minute < ? LIMIT ?)",
  ).run(minuteOf(nowMs) - minutesKept, limit);
}
