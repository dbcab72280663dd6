import { type Duration, toMs } from "../../core/duration.js";
import { HoldfastError } from "../../core/errors.js";
import { reasons } from "../../core/outcome.js";
import type { TaskInfo } from "../../core/info.js";
import { taskStates } from "../../core/state.js";
import { isQuarantined } from "../quarantine.js";
import type { FieldName } from "./fields.js";

/** What the values of a field may be, and what they mean. */

/** Words that mean a state besides its own name. */
const stateWords: Readonly<Record<string, string>> = { dead: "archived", done: "completed" };
export const anyState = "any";

/** The words of a field that has no others; with what they stand for. */
export function wordOf(field: FieldName, text: string): string | undefined {
  const word = field === "state" ? (stateWords[text] ?? text) : text;
  return wordsOf(field).includes(word) ? word : undefined;
}

export function wordsOf(field: FieldName): readonly string[] {
  if (field === "is") return Object.keys(isWords);
  return field === "state" ? [...taskStates, anyState] : reasons;
}

/** What `is:…` asks of a task. */
export const isWords: Readonly<Record<string, (task: TaskInfo) => boolean>> = {
  acknowledged: ({ acknowledged }) => acknowledged !== undefined,
  quarantined: isQuarantined,
  restored: ({ restored }) => restored !== undefined,
  copied: ({ copies }) => copies !== undefined,
};

export const isWholeNumber = (text: string): boolean => /^\d{1,15}$/.test(text);

/** A length of time: "2h". */
export function durationMs(text: string): number | undefined {
  try {
    return toMs(text as Duration, "duration");
  } catch (error) {
    if (HoldfastError.is(error, "OPTION_INVALID")) return undefined;
    throw error;
  }
}

const date = /^\d{4}-\d\d-\d\d(?:T\d\d:\d\d(?::\d\d(?:\.\d{1,3})?)?(Z|[+-]\d\d:\d\d)?)?$/;

/** A date, or a date and time; UTC unless it names its zone. */
export function dateMs(text: string): number | undefined {
  const match = date.exec(text);
  if (match === null) return undefined;
  const ms = Date.parse(text.includes("T") && match[1] === undefined ? `${text}Z` : text);
  return Number.isNaN(ms) ? undefined : ms;
}
