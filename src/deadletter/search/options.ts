import { invalidOption, shown } from "../../core/errors.js";
import { type Given, resolve, setting } from "../../core/settings.js";
import type { ScanOptions, SearchProgress } from "./scan.js";

const searchSettings = {
  limit: setting.integer({ default: 30, min: 1, max: 500, says: "hits on the page" }),
  scan: setting.integer({
    default: 10_000,
    min: 1,
    max: 1_000_000,
    says: "tasks that are looked at before the page ends, full or not; rounded up to a whole step of 200",
  }),
  cursor: setting.text({
    default: undefined,
    allowed: "a cursor as an answer to the same search gave it",
    says: "where to go on; the order is then that of the first page",
    parse(value, option) {
      if (typeof value === "string" && value.length <= 8_192) return value;
      throw invalidOption(option, `must be a cursor as an answer gave it, got ${shown(value)}`);
    },
  }),
  newestFirst: setting.flag({ default: false, says: "in each queue the last dead letter first" }),
};

interface Watching {
  /** Stops between two steps; the answer says how far it came. */
  readonly signal?: AbortSignal | undefined;
  /** After each step. */
  readonly onProgress?: ((progress: SearchProgress) => void) | undefined;
}
export interface SearchOptions extends Given<typeof searchSettings>, Watching {}

/** @throws OPTION_INVALID */
export function searchOptions(given: SearchOptions | undefined) {
  const { signal, onProgress, ...rest } = given ?? {};
  if (signal !== undefined && !(signal instanceof AbortSignal))
    throw invalidOption("search.signal", `must be an AbortSignal, got ${shown(signal)}`);
  if (onProgress !== undefined && typeof onProgress !== "function")
    throw invalidOption("search.onProgress", `must be a function, got ${shown(onProgress)}`);
  return { ...resolve(searchSettings, rest, "search"), signal, onProgress } satisfies ScanOptions & Watching;
}
