/** Where a task is: exactly one of asynq's seven states (stored in the hash field `state`). */
export const taskStates = ["pending", "active", "scheduled", "retry", "archived", "completed", "aggregating"] as const;
export type TaskState = (typeof taskStates)[number];

/** `new` is before a task exists, `gone` after it was deleted. */
export type Place = TaskState | "new" | "gone";

export interface Move {
  readonly from: Place;
  readonly to: Place;
  /** The verb of the contract that makes the move. */
  readonly by: string;
}

/** Every move a task can make. The contract suite tries all pairs: what is not in here does not happen. */
export const moves: readonly Move[] = [
  { from: "new", to: "pending", by: "enqueue" },
  { from: "new", to: "scheduled", by: "enqueue" },
  { from: "pending", to: "active", by: "exchange: lease" },
  { from: "active", to: "gone", by: "exchange: completed without retention, or revoked" },
  { from: "active", to: "completed", by: "exchange: completed with retention" },
  { from: "active", to: "retry", by: "exchange: retry" },
  { from: "active", to: "archived", by: "exchange: archived" },
  { from: "active", to: "pending", by: "exchange: released" },
  { from: "active", to: "pending", by: "reclaim: its time ran out" },
  { from: "active", to: "archived", by: "reclaim: quarantined, or an at-most-once task" },
  { from: "pending", to: "archived", by: "exchange: a message that cannot be decoded" },
  { from: "scheduled", to: "pending", by: "promote" },
  { from: "retry", to: "pending", by: "promote" },
  { from: "scheduled", to: "aggregating", by: "promote: a Go peer's task that has a group" },
  { from: "retry", to: "aggregating", by: "promote: a Go peer's task that has a group" },
  { from: "completed", to: "gone", by: "prune" },
  ...from(["scheduled", "retry", "archived", "completed", "aggregating"], "pending", "move: run"),
  ...from(["pending", "scheduled", "retry", "completed", "aggregating"], "archived", "move: archive"),
  ...from(["pending", "scheduled", "retry", "archived", "completed", "aggregating"], "gone", "move: delete"),
  { from: "archived", to: "pending", by: "moveDead: a redrive, to run at once" },
  { from: "archived", to: "scheduled", by: "moveDead: a redrive, to run later" },
  { from: "archived", to: "gone", by: "moveDead: another queue has taken it" },
  { from: "archived", to: "gone", by: "discard: into the trash" },
  { from: "gone", to: "archived", by: "restore: out of the trash" },
  { from: "archived", to: "gone", by: "evict: past a bound that somebody has set" },
  ...from(["pending", "scheduled", "retry", "archived", "completed", "aggregating"], "gone", "dropQueue"),
];

function from(places: readonly TaskState[], to: Place, by: string): Move[] {
  return places.map((place) => ({ from: place, to, by }));
}
