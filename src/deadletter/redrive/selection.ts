import type { TaskInfo } from "../../core/info.js";
import { invalidOption, shown } from "../../core/errors.js";
import { storedName } from "../../core/names.js";
import type { Desk } from "../desk.js";
import { parseSearch } from "../search/parse.js";
import { beginning, scan } from "../search/scan.js";

/** Which dead letters: those of a search over all queues (`fp:v1:…` is a failure group), or these of one queue. */
export type DeadSelection = string | { readonly queue: string; readonly ids: readonly string[] };

/** Ids are kept with a redrive as they were given: for more there are searches. */
const maxIds = 1_000;
const maxKeptBytes = 48_000;

/** @throws OPTION_INVALID SEARCH_INVALID */
export function checkedSelection(given: DeadSelection, verb: string): DeadSelection {
  if (typeof given === "string") {
    parseSearch(given);
    if (given.trim() === "")
      throw invalidOption(`${verb}.selection`, 'must say which dead letters are meant: "queue:billing", "fp:v1:…"');
    return given;
  }
  if (typeof given !== "object" || given === null || !Array.isArray(given.ids))
    throw invalidOption(`${verb}.selection`, `must be a search or { queue, ids }, got ${shown(given)}`);
  const { ids } = given;
  if (ids.length === 0 || ids.length > maxIds)
    throw invalidOption(`${verb}.selection.ids`, `must be 1 to ${maxIds} ids, got ${ids.length}: search for more`);
  return {
    queue: storedName(given.queue, `${verb}.selection.queue`),
    ids: [...new Set(ids.map((id, n) => storedName(id, `${verb}.selection.ids[${n}]`)))],
  };
}

/** One that fits into a redrive's document. @throws as `checkedSelection` */
export function keptSelection(given: DeadSelection, verb: string): DeadSelection {
  const selection = checkedSelection(given, verb);
  const bytes = Buffer.byteLength(JSON.stringify(selection));
  if (bytes <= maxKeptBytes) return selection;
  const problem = `must have at most ${maxKeptBytes} bytes in all, got ${bytes}: search for them`;
  throw invalidOption(`${verb}.selection.ids`, problem);
}

export interface SelectedPage {
  /** Dead letters all; of ids, those of them that are there. */
  readonly tasks: readonly TaskInfo[];
  /** Ids that are no dead letters, and why. */
  readonly others: readonly { readonly queue: string; readonly id: string; readonly why: "notFound" | "notDead" }[];
  readonly scanned: number;
  readonly total: number;
}

/** A page at a time, and nothing that became a dead letter after `nowMs`. */
export async function* selected(
  desk: Desk,
  selection: DeadSelection,
  nowMs: number,
  signal?: AbortSignal,
): AsyncGenerator<SelectedPage, void> {
  if (typeof selection === "string") {
    for await (const { items, scanned, total } of scan(desk, parseSearch(selection), beginning(nowMs), { signal })) {
      yield { tasks: items.filter(({ state }) => state === "archived"), others: [], scanned, total };
    }
    return;
  }
  const { queue, ids } = selection;
  for (let from = 0; from < ids.length && signal?.aborted !== true; from += pageSize) {
    const some = ids.slice(from, from + pageSize);
    const found = await desk.broker.find(some.map((id) => ({ queue, id })));
    const others = some.flatMap((id, n) => {
      const state = found[n]?.state;
      return state === "archived" ? [] : [{ queue, id, why: state === undefined ? "notFound" : "notDead" } as const];
    });
    yield {
      tasks: found.filter((task): task is TaskInfo => task?.state === "archived"),
      others,
      scanned: from + some.length,
      total: ids.length,
    };
  }
}

const pageSize = 200;
