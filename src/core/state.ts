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
  { from: "active", to: "pending", by: "exchange: released, or reclaim" },
  { from: "active", to: "archived", by: "reclaim: quarantined, or an at-most-once task" },
  { from: "pending", to: "archived", by: "exchange: a message that cannot be decoded" },
  { from: "scheduled", to: "pending", by: "promote" },
  { from: "retry", to: "pending", by: "promote" },
  { from: "completed", to: "gone", by: "prune" },
  ...movesByHand(["scheduled", "retry", "archived", "completed", "aggregating"], "pending", "run"),
  ...movesByHand(["pending", "scheduled", "retry", "completed", "aggregating"], "archived", "archive"),
  ...movesByHand(["pending", "scheduled", "retry", "archived", "completed", "aggregating"], "gone", "delete"),
];

function movesByHand(places: readonly TaskState[], to: Place, verb: string): Move[] {
  return places.map((from) => ({ from, to, by: `move: ${verb}` }));
}
