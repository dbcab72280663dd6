import type { TaskInfo } from "../../core/info.js";
import { inTrips } from "../../core/portions.js";
import { taskStates } from "../../core/state.js";
import { pageWith, scanPage } from "../../inspector/pages.js";
import type { Desk } from "../desk.js";
import { asksForCauses, pageByCause } from "./by-cause.js";
import { cursorOf, type SearchPlace } from "./cursor.js";
import { type Matcher, matcherOf } from "./match.js";
import { namedIn, type Place, type Plan, planOf } from "./plan.js";
import type { SearchQuery } from "./query.js";

/** How far a search is: "scanned 4,000 of 9,999, 37 hits". */
export interface SearchProgress {
  /** Tasks that were looked at, since its first page. */
  readonly scanned: number;
  /** So many there are where the search looks, at present. */
  readonly total: number;
  readonly hits: number;
}

/** Some tasks for which a search holds. */
export interface SearchPage extends SearchProgress {
  readonly items: readonly TaskInfo[];
  /** Where to go on; undefined when all has been looked at. */
  readonly cursor: string | undefined;
}

export interface ScanOptions {
  /** Hits in all. */
  readonly limit?: number;
  /** Tasks that are looked at in all. */
  readonly scan?: number;
  /** Stops between two steps. */
  readonly signal?: AbortSignal | undefined;
}

/** Where a search begins. */
export const beginning = (nowMs: number, newestFirst = false): SearchPlace => ({
  nowMs,
  newestFirst,
  queue: undefined,
  state: undefined,
  cursor: undefined,
  scanned: 0,
  hits: 0,
});

/** Where a search looks. */
export type Searched = Pick<Desk, "broker" | "store" | "nowMs">;

/**
 * Looks through the tasks that may be meant, one queue after the other, a page at a time, and gives what it finds in each:
 * never more in memory, however many there are. What becomes a dead letter after it began is left out, so that it ends.
 */
export async function* scan(
  desk: Searched,
  query: SearchQuery,
  from: SearchPlace,
  { limit = Number.POSITIVE_INFINITY, scan: most = Number.POSITIVE_INFINITY, signal }: ScanOptions = {},
): AsyncGenerator<SearchPage, void> {
  const { nowMs, newestFirst } = from;
  const { broker } = desk;
  // A user may have the rights to these alone.
  const plan = planOf(query, await broker.queues(nowMs, namedIn(query, "queue")));
  const matches = matcherOf(query, nowMs);
  if (plan.refs !== undefined) {
    yield await ofRefs(broker, plan, plan.refs, matches);
    return;
  }
  const { places } = plan;
  const total = places.reduce((sum, { tasks }) => sum + tasks, 0);
  const passes = (task: TaskInfo) => !(task.archivedAtMs !== undefined && task.archivedAtMs > nowMs) && matches(task);
  let place = from;
  for (const [n, at] of places.entries()) {
    if (isBefore(at, from)) continue;
    let inList = isAt(at, from) ? from.cursor : undefined;
    do {
      if (signal?.aborted === true || place.scanned - from.scanned >= most || place.hits - from.hits >= limit) return;
      const { queue, state } = at;
      const wanted = Math.min(scanPage, limit - (place.hits - from.hits));
      const request = { limit: wanted, cursor: inList, backwards: newestFirst };
      const { page, items } = asksForCauses(query, at)
        ? await pageByCause(desk, query, queue, request, passes)
        : await pageWith(async (asked) => broker.list({ queue, state }, asked), request, passes);
      inList = newestFirst ? page.previous : page.next;
      const next = inList === undefined ? places[n + 1] : at;
      place = {
        ...place,
        queue: next?.queue,
        state: next?.state,
        cursor: inList,
        scanned: place.scanned + page.items.length,
        hits: place.hits + items.length,
      };
      yield {
        items: newestFirst ? items.toReversed() : items,
        scanned: place.scanned,
        total: Math.max(total, place.scanned),
        hits: place.hits,
        cursor: next === undefined ? undefined : cursorOf(query, place),
      };
    } while (inList !== undefined);
  }
}

/** The same, as one page: at most so many hits of at most so many tasks. */
export async function searchOnce(
  desk: Searched,
  query: SearchQuery,
  from: SearchPlace,
  options: ScanOptions & { readonly onProgress?: ((progress: SearchProgress) => void) | undefined },
): Promise<SearchPage> {
  const items: TaskInfo[] = [];
  let page: SearchPage | undefined;
  for await (page of scan(desk, query, from, options)) {
    items.push(...page.items);
    options.onProgress?.(page);
  }
  if (page !== undefined) return { ...page, items };
  // Stopped before its first step: there is as much left as before.
  const { scanned, hits } = from;
  const cursor = options.signal?.aborted === true ? cursorOf(query, from) : undefined;
  return { items, scanned, total: scanned, hits, cursor };
}

async function ofRefs(
  broker: Searched["broker"],
  { states }: Plan,
  refs: NonNullable<Plan["refs"]>,
  matches: Matcher,
): Promise<SearchPage> {
  const tasks = await inTrips(refs, scanPage, (some) => broker.find(some));
  const found = tasks.filter((task): task is TaskInfo => task !== undefined);
  const items = found.filter((task) => states.includes(task.state) && matches(task));
  return { items, scanned: found.length, total: found.length, hits: items.length, cursor: undefined };
}

const orderOf = (place: Pick<Place, "state">) => taskStates.indexOf(place.state);

/** A queue may be gone by now: what comes behind its name is where the search goes on. */
function isBefore(at: Place, { queue, state }: SearchPlace): boolean {
  if (queue === undefined || state === undefined) return false;
  return at.queue < queue || (at.queue === queue && orderOf(at) < orderOf({ state }));
}

const isAt = (at: Place, { queue, state }: SearchPlace) => at.queue === queue && at.state === state;
