import { lastTimeMs } from "../core/duration.js";
import type { TaskState } from "../core/state.js";
import { countDay } from "./days.js";
import type { Sql } from "./sql.js";

/** The states this engine has; groups (`aggregating`) are not among them yet. */
export type StoredState = Exclude<TaskState, "aggregating">;

export const storedStates = ["pending", "active", "scheduled", "retry", "archived", "completed"] as const;
const counters = [...storedStates, "processed", "failed"] as const;
type Counts = Record<(typeof counters)[number], number>;

/** What a call changes in the counts of its queues: gathered while it works, written once at its end. */
export class Tally {
  readonly #changes = new Map<string, Counts>();

  moved(queue: string, from: StoredState | undefined, to: StoredState | undefined): void {
    const counts = this.#of(queue);
    if (from !== undefined) counts[from] -= 1;
    if (to !== undefined) counts[to] += 1;
  }

  processed(queue: string, failed: boolean): void {
    const counts = this.#of(queue);
    counts.processed += 1;
    if (failed) counts.failed += 1;
  }

  write(sql: Sql, nowMs: number): void {
    for (const [queue, counts] of this.#changes) {
      sql(upsert).run(queue, ...counters.map((name) => counts[name]));
      if (counts.processed > 0) countDay(sql, queue, counts, nowMs);
    }
  }

  #of(queue: string): Counts {
    let counts = this.#changes.get(queue);
    if (counts === undefined) {
      counts = { pending: 0, active: 0, scheduled: 0, retry: 0, archived: 0, completed: 0, processed: 0, failed: 0 };
      this.#changes.set(queue, counts);
    }
    return counts;
  }
}

/** A count that another program wrote may be none, or so large that one more does not fit in. */
const upsert =
  `INSERT INTO queue (name, ${counters.join(", ")}) VALUES (?${", ?".repeat(counters.length)}) ` +
  `ON CONFLICT DO UPDATE SET ${counters.map((name) => `${name} = max(0, min(${name}, ${lastTimeMs})) + excluded.${name}`).join(", ")}`;
