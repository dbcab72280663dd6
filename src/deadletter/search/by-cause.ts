import type { KnownCause } from "../../broker/failure-groups.js";
import type { Page, PageRequest, TaskInfo } from "../../core/info.js";
import { scanPage } from "../../inspector/pages.js";
import type { Desk } from "../desk.js";
import { passes, type Place, termsOf } from "./plan.js";
import type { SearchQuery } from "./query.js";

/** Of most of them nothing but the id and the cause is read. */
const causesPage = 1_000;

/** The causes that a search asks for. One that it does not want spares few looks. */
const causesOf = (query: SearchQuery) => termsOf(query, "fp").filter(({ negated }) => !negated);

export const asksForCauses = (query: SearchQuery, { state }: Place): boolean =>
  state === "archived" && causesOf(query).length > 0;

/**
 * A page of dead letters for a search that names causes: those that are known to have another are passed over, all others
 * are looked at. Groups are advisory, so a search must not begin with their members: it would miss what is in none, or in
 * the wrong one.
 */
export async function pageByCause(
  { broker, store }: Pick<Desk, "broker" | "store">,
  query: SearchQuery,
  queue: string,
  request: PageRequest,
  isHit: (task: TaskInfo) => boolean,
): Promise<{ readonly page: Page<KnownCause>; readonly items: readonly TaskInfo[] }> {
  const { limit, backwards = false } = request;
  const wanted: SearchQuery = { ...query, terms: causesOf(query) };
  for (let size = causesPage; ;) {
    const page = await store.knownCauses(queue, { ...request, limit: size });
    const inOrder = backwards ? page.items.toReversed() : page.items;
    const possible = inOrder.filter(
      ({ fingerprint }) => fingerprint === undefined || passes(wanted, "fp", fingerprint),
    );
    let last = possible[scanPage - 1];
    if (possible.length <= scanPage) {
      const found = await broker.find(possible.map(({ id }) => ({ queue, id })));
      const items = found.filter((task) => task?.state === "archived" && isHit(task)) as TaskInfo[];
      if (items.length <= limit) return { page, items: backwards ? items.toReversed() : items };
      last = possible.find(({ id }) => id === items[limit - 1]!.id);
    }
    // Read again, so that its cursors fit: the last one that is taken is never the last of a page, which gets shorter.
    size = inOrder.indexOf(last!) + 1;
  }
}
