import type { TaskRef } from "../broker/broker.js";
import type { Sql } from "./sql.js";

export interface Signs {
  /** Queues that have something to lease. */
  readonly waiting: readonly string[];
  /** Running tasks that are to be aborted; `key` tells one wish from the next for the same task. */
  readonly cancelled: readonly (TaskRef & { readonly key: string })[];
}

/** Read by indexes that hold no more than what is asked for. */
export function signs(sql: Sql, withWaiting: boolean): Signs {
  const waiting = withWaiting
    ? sql("SELECT name FROM queue INDEXED BY queue_waiting WHERE pending > 0 AND paused = 0").all()
    : [];
  const cancelled = sql(
    "SELECT queue, id, cancel || ' ' || token || ' ' || queue || ' ' || id AS key FROM task INDEXED BY task_cancelled WHERE cancel IS NOT NULL AND state = 'active'",
  ).all();
  return {
    waiting: (waiting as { name: string }[]).map(({ name }) => name),
    cancelled: cancelled as Signs["cancelled"],
  };
}

/** Another number each time another connection has committed. */
export const dataVersion = (sql: Sql): number =>
  (sql("PRAGMA data_version").get() as { data_version: number }).data_version;
