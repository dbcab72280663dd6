import type { NotMovable } from "../../broker/redriving.js";

/**
 * Why a dead letter is not run again together with others. Storage knows the first kind, its message and its failure tell
 * the second: `quarantined`: it may do harm, and is run by itself. `deadline`: that has passed, and it would fail at once.
 */
export type Ineligible =
  | NotMovable
  | "quarantined"
  | "needsHuman"
  | "acknowledged"
  | "deadline"
  | "undecodable"
  | "idTaken"
  | "twice"
  | "cancelled";

/** In words, after "12 …". */
export const ineligibleSays: Readonly<Record<Ineligible, string>> = {
  notFound: "no longer there",
  notDead: "not dead letters any more",
  atMostOnce: "to run at most once, and may have run (--at-most-once)",
  redriving: "in another redrive",
  bound: "run again too often (--max-redrives)",
  conflict: "unique, while another task holds the lock",
  quarantined: "in quarantine: to be run one by one",
  needsHuman: "for a human to decide on each (--needs-human)",
  acknowledged: "acknowledged",
  deadline: "with a deadline that has passed",
  undecodable: "that cannot be read",
  idTaken: "with an id that another task has in the other queue",
  twice: "run by somebody else at the same moment, and so twice",
  cancelled: "left when it was cancelled",
};
