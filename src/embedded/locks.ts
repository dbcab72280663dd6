import type { Sql } from "./sql.js";

/** Unique locks: who holds one, and until when. In whole seconds, as asynq's lock is kept. */

/** The id of the task that holds the lock now. */
export function lockHolder(sql: Sql, key: string, nowMs: number): string | undefined {
  const held = sql("SELECT id FROM unique_lock WHERE key = ? AND until_ms > ?").get(key, nowMs);
  return (held as { id: string } | undefined)?.id;
}

export function takeLock(sql: Sql, key: string, id: string, untilMs: number): void {
  sql(
    "INSERT INTO unique_lock (key, id, until_ms) VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET id = excluded.id, until_ms = excluded.until_ms",
  ).run(key, id, untilMs);
}

/** Its holder alone gives a lock back: it may have run out, and be another's now. Answers until when it would have held. */
export function giveBackLock(sql: Sql, key: string, id: string): number | undefined {
  if (key === "") return undefined;
  const held = sql("DELETE FROM unique_lock WHERE key = ? AND id = ? RETURNING until_ms").get(key, id);
  return (held as { until_ms: number } | undefined)?.until_ms;
}
