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
  notFound: "are no longer there",
  notDead: "are no dead letters any more",
  atMostOnce: "are to run at most once, and may have run (--at-most-once)",
  redriving: "are in another redrive",
  bound: "were run again too often (--max-redrives)",
  conflict: "are unique, and another task holds their lock",
  quarantined: "are in quarantine: run them one by one",
  needsHuman: "need a human to decide on each (--needs-human)",
  acknowledged: "are acknowledged",
  deadline: "have a deadline that has passed",
  undecodable: "cannot be read",
  idTaken: "have an id that another task has in the other queue",
  twice: "were run by somebody else at the same moment: they run twice",
  cancelled: "were left when it was cancelled",
};
