import type { DayStats } from "../core/info.js";
import type { Sql } from "./sql.js";

/** What queues did, by the UTC days since 1970, for as long as asynq keeps its own. */
const daysKept = 90;

const dayMs = 86_400_000;
const dayOf = (nowMs: number) => Math.floor(nowMs / dayMs);

export type Done = Pick<DayStats, "processed" | "failed">;

export function countDay(sql: Sql, queue: string, { processed, failed }: Done, nowMs: number): void {
  sql(
    "INSERT INTO day (queue, day, processed, failed) VALUES (?, ?, ?, ?) " +
      "ON CONFLICT DO UPDATE SET processed = min(processed, 8640000000000000) + excluded.processed, failed = min(failed, 8640000000000000) + excluded.failed",
  ).run(queue, dayOf(nowMs), processed, failed);
}

export interface HistoryCall {
  readonly queues: readonly string[];
  readonly days: number;
  readonly nowMs: number;
}

/** Today first; a day on which nothing was done is told with zeros. */
export function history(sql: Sql, { queues, days, nowMs }: HistoryCall): DayStats[][] {
  const today = dayOf(nowMs);
  return queues.map((queue) => {
    const rows = sql("SELECT day, processed, failed FROM day WHERE queue = ? AND day > ?").all(queue, today - days);
    const doneOn = new Map((rows as (Done & { day: number })[]).map(({ day, ...done }) => [day, done]));
    return Array.from({ length: days }, (_, ago) => {
      const { processed, failed } = doneOn.get(today - ago) ?? { processed: 0, failed: 0 };
      return { day: new Date((today - ago) * dayMs).toISOString().slice(0, 10), processed, failed };
    });
  });
}

export function sweepDays(sql: Sql, queue: string, nowMs: number): void {
  sql("DELETE FROM day WHERE queue = ? AND day <= ?").run(queue, dayOf(nowMs) - daysKept);
}
