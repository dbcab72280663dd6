import type { Documents } from "./documents.js";
import type { Eviction } from "./eviction.js";
import type { FailureGroupStore } from "./failure-groups.js";
import type { Redriving } from "./redriving.js";
import type { LetterMarks } from "./letter-marks.js";
import type { LetterStore } from "./stored-letter.js";
import type { OutcomeCounts } from "./outcome-counts.js";
import type { Trash } from "./trash.js";

/**
 * What an engine does for dead letters beyond tasks on their way: each part of it has a file of its own, here and in the
 * engines. `broker.deadLetters`; src/deadletter stands on it.
 */
export interface DeadLetterStore
  extends Documents, Eviction, FailureGroupStore, LetterMarks, LetterStore, Redriving, Trash, OutcomeCounts {}
