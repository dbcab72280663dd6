import { createHash } from "node:crypto";
import { invalidOption } from "../../core/errors.js";
import { type TaskState, taskStates } from "../../core/state.js";
import { printSearch, type SearchQuery } from "./query.js";

/** Where a search goes on, and what "2h ago" means until it is through. */
export interface SearchPlace {
  readonly nowMs: number;
  readonly newestFirst: boolean;
  /** Undefined: at the beginning. */
  readonly queue: string | undefined;
  readonly state: TaskState | undefined;
  /** Of the list; undefined: at its beginning. */
  readonly cursor: string | undefined;
  readonly scanned: number;
  readonly hits: number;
}

export function cursorOf(query: SearchQuery, place: SearchPlace): string {
  const { nowMs, newestFirst, queue, state, cursor, scanned, hits } = place;
  const fields = [markOf(query), nowMs, newestFirst ? 1 : 0, queue ?? "", state ?? "", cursor ?? "", scanned, hits];
  return Buffer.from(JSON.stringify(fields)).toString("base64url");
}

/** @throws OPTION_INVALID for what no answer to this search gave */
export function placeOf(query: SearchQuery, cursor: string, option: string): SearchPlace {
  const fields = fieldsOf(cursor);
  if (fields === undefined) throw invalidOption(option, "must be a cursor as an answer gave it");
  const [mark, nowMs, newestFirst, queue, state, inList, scanned, hits] = fields;
  if (mark !== markOf(query)) throw invalidOption(option, "belongs to another search");
  return {
    nowMs: nowMs as number,
    newestFirst: newestFirst === 1,
    queue: queue === "" ? undefined : (queue as string),
    state: state === "" ? undefined : (state as TaskState),
    cursor: inList === "" ? undefined : (inList as string),
    scanned: scanned as number,
    hits: hits as number,
  };
}

/** Anybody may make one up, and what is not of its kind must not get further. */
function fieldsOf(cursor: string): readonly unknown[] | undefined {
  let fields: unknown;
  try {
    fields = JSON.parse(Buffer.from(cursor, "base64url").toString());
  } catch {
    return undefined;
  }
  if (!Array.isArray(fields)) return undefined;
  const [mark, nowMs, newestFirst, queue, state, inList, scanned, hits] = fields as unknown[];
  const texts = [mark, queue, inList].every((field) => typeof field === "string");
  const numbers = [nowMs, newestFirst, scanned, hits].every(
    (field) => Number.isSafeInteger(field) && (field as number) >= 0,
  );
  return texts && numbers && (taskStates as readonly unknown[]).concat("").includes(state) ? fields : undefined;
}

const markOf = (query: SearchQuery) => createHash("sha256").update(printSearch(query)).digest("hex").slice(0, 8);
