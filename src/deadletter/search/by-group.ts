import { overflowGroup, type QueueGroups } from "../../broker/failure-groups.js";
import { bringUpToDate } from "../bring-up-to-date.js";
import type { Desk } from "../desk.js";
import { passes, type Place, termsOf } from "./plan.js";
import type { SearchQuery } from "./query.js";

/** Of more groups at once each page would read more than it gives. */
const mostGroups = 10;

/**
 * A search that names causes looks at the members of their groups alone, in queues all of whose dead letters are in groups;
 * in others it looks through them all, as one that names none. Each task is looked at all the same: groups are advisory.
 */
export async function inGroups(
  desk: Pick<Desk, "store" | "nowMs">,
  query: SearchQuery,
  places: readonly Place[],
): Promise<readonly Place[]> {
  if (termsOf(query, "fp").every(({ negated }) => negated)) return places;
  const queues = places.filter(({ state }) => state === "archived").map(({ queue }) => queue);
  if (queues.length === 0) return places;
  await bringUpToDate(desk, queues);
  const found = await desk.store.failureGroups(queues, desk.nowMs());
  const known = new Map(found.map((one) => [one.queue, one]));
  return places.flatMap((place) =>
    place.state === "archived" ? (narrowed(place, query, known.get(place.queue)) ?? place) : place,
  );
}

/** None where no such cause has members. Members of the last group of all are of any cause. */
function narrowed(place: Place, query: SearchQuery, known: QueueGroups | undefined): Place[] | undefined {
  if (known?.complete !== true) return undefined;
  const groups = known.groups.filter(
    ({ fingerprint, count }) => count > 0 && (fingerprint === overflowGroup || passes(query, "fp", fingerprint)),
  );
  if (groups.length === 0) return [];
  if (groups.length > mostGroups) return undefined;
  const tasks = groups.reduce((sum, { count }) => sum + count, 0);
  return [{ ...place, tasks, groups: groups.map(({ fingerprint }) => fingerprint) }];
}
