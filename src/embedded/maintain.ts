import type { Promotion } from "../broker/broker.js";
import { floorToS } from "../core/duration.js";
import { sweepDays } from "./days.js";
import { emptyTrash } from "./dead-letters/trash.js";
import { rememberFinished, sweepFinished } from "./finished.js";
import { sweepRequests } from "./lease-request.js";
import { Line } from "./line.js";
import { timeOf } from "./look.js";
import { mustBeThere } from "./mend.js";
import type { QueuesCall } from "./reclaim.js";
import type { Sql } from "./sql.js";
import { Tally } from "./tally.js";
import { sweepWorkers } from "./workers.js";

const delayed = ["scheduled", "retry"] as const;

export function promote(sql: Sql, { queues, limit, nowMs }: QueuesCall): Promotion {
  const tally = new Tally();
  const line = new Line(sql);
  let moved = 0;
  for (const queue of queues) {
    for (const state of delayed) {
      const due = sql("SELECT id FROM task WHERE queue = ? AND state = ? AND rank <= ? ORDER BY rank, id LIMIT ?").all(
        queue,
        state,
        floorToS(nowMs),
        limit - moved,
      ) as { id: string }[];
      for (const { id } of due) {
        const moving = sql("UPDATE task SET state = 'pending', rank = ?, since_ms = ? WHERE queue = ? AND id = ?");
        mustBeThere(moving.run(line.behind(queue), nowMs, queue, id));
        tally.moved(queue, state, "pending");
      }
      moved += due.length;
    }
  }
  tally.write(sql, nowMs);
  return { moved, nextDueMs: nextDueMs(sql, queues) };
}

function nextDueMs(sql: Sql, queues: readonly string[]): number | undefined {
  let nextS = Number.POSITIVE_INFINITY;
  for (const queue of queues) {
    for (const state of delayed) {
      const next = sql("SELECT min(rank) AS rank FROM task WHERE queue = ? AND state = ?").get(queue, state);
      nextS = Math.min(nextS, (next as { rank: number | null }).rank ?? nextS);
    }
  }
  return nextS === Number.POSITIVE_INFINITY ? undefined : timeOf(nextS * 1_000);
}

/** How many tasks were deleted that were completed, or discarded. What else has run out, and is nobody's business, goes along. */
export function prune(sql: Sql, { queues, limit, nowMs }: QueuesCall): number {
  const tally = new Tally();
  let pruned = 0;
  for (const queue of queues) {
    const past = sql(
      "SELECT id FROM task WHERE queue = ? AND state = 'completed' AND rank <= ? ORDER BY rank, id LIMIT ?",
    ).all(queue, floorToS(nowMs), limit - pruned) as { id: string }[];
    for (const { id } of past) {
      mustBeThere(sql("DELETE FROM task WHERE queue = ? AND id = ?").run(queue, id));
      tally.moved(queue, "completed", undefined);
    }
    rememberFinished(
      sql,
      past.map(({ id }) => ({ queue, id })),
      nowMs,
    );
    pruned += past.length;
    pruned += emptyTrash(sql, queue, limit - pruned, nowMs);
    sweepDays(sql, queue, nowMs);
  }
  tally.write(sql, nowMs);
  sweepFinished(sql, limit, nowMs);
  sql("DELETE FROM unique_lock WHERE key IN (SELECT key FROM unique_lock WHERE until_ms <= ? LIMIT ?)").run(
    nowMs,
    limit,
  );
  sweepRequests(sql, limit, nowMs);
  sweepWorkers(sql, limit, nowMs);
  return pruned;
}
