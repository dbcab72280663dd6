import type { Looking } from "../broker/broker.js";
import type { Page, PageRequest, Selection, TaskInfo } from "../core/info.js";

/** A page, and how many tasks were looked at to fill it: more than it holds where a type was asked for. */
export interface TaskPage extends Page<TaskInfo> {
  readonly scanned: number;
}

/** Tasks that are read at once only to be looked through: their payloads are in memory together. */
export const scanPage = 200;
/** How far one call looks for tasks of a type before its page ends, full or not. */
const maxScanned = 5_000;

/** One page. Storage has no index by type: tasks of other types are read and left out here, within bounds. */
export async function pageOf(broker: Looking, selection: Selection, request: PageRequest): Promise<TaskPage> {
  if ("ids" in selection || selection.type === undefined) {
    const page = await broker.list(selection, request);
    return { ...page, scanned: page.items.length };
  }
  const { type, ...all } = selection;
  const ofType = (task: TaskInfo) => task.message?.type === type;
  const scan = new Scan(request.backwards === true);
  while (scan.asked < maxScanned) {
    const wanted = request.limit - scan.items.length;
    const part = { ...request, cursor: scan.cursor ?? request.cursor, limit: wanted };
    scan.add(await pageWith(async (asked) => broker.list(all, asked), part, ofType));
    if (scan.cursor === undefined || scan.items.length >= request.limit) break;
  }
  return scan.page();
}

export interface Found {
  readonly page: Page<TaskInfo>;
  readonly items: readonly TaskInfo[];
  readonly asked: number;
}

/** Reads many at once. With more that pass than are wanted, it is read again, shorter, so that its cursors fit. */
export async function pageWith(
  list: (request: PageRequest) => Promise<Page<TaskInfo>>,
  request: PageRequest,
  passes: (task: TaskInfo) => boolean,
): Promise<Found> {
  for (let size = scanPage; ;) {
    const page = await list({ ...request, limit: size });
    const items = page.items.filter(passes);
    if (items.length <= request.limit) return { page, items, asked: size };
    const inOrder = request.backwards === true ? page.items.toReversed() : page.items;
    const last = request.backwards === true ? items.at(-request.limit) : items[request.limit - 1];
    // What changed meanwhile may make a second reading too long; one as short as what is wanted always fits.
    size = size === scanPage ? inOrder.indexOf(last!) + 1 : request.limit;
  }
}

/** Pages that were read one after the other, as one. */
class Scan {
  readonly #backwards: boolean;
  items: readonly TaskInfo[] = [];
  asked = 0;
  /** Where the next one begins; undefined at the end. */
  cursor: string | undefined;
  #scanned = 0;
  #first: Page<TaskInfo> | undefined;

  constructor(backwards: boolean) {
    this.#backwards = backwards;
  }

  add({ page, items, asked }: Found): void {
    this.#first ??= page;
    this.items = this.#backwards ? [...items, ...this.items] : [...this.items, ...items];
    this.asked += asked;
    this.#scanned += page.items.length;
    this.cursor = this.#backwards ? page.previous : page.next;
  }

  page(): TaskPage {
    const ends = this.#backwards
      ? { next: this.#first?.next, previous: this.cursor }
      : { next: this.cursor, previous: this.#first?.previous };
    return { items: this.items, ...ends, scanned: this.#scanned };
  }
}

/**
 * All pages in turn, each read before the one ahead of it is given out: what is done to a page cannot take away the
 * entry at which the next one begins.
 */
export async function* pagesOf(
  broker: Looking,
  selection: Selection,
  request: PageRequest,
): AsyncGenerator<Page<TaskInfo> & { readonly cursor: string | undefined }, void> {
  const follow = (page: Page<TaskInfo>) => (request.backwards === true ? page.previous : page.next);
  let { cursor } = request;
  let page: Page<TaskInfo> | undefined = await broker.list(selection, request);
  while (page !== undefined) {
    const next = follow(page);
    const ahead: Page<TaskInfo> | undefined =
      next === undefined ? undefined : await broker.list(selection, { ...request, cursor: next });
    yield { ...page, cursor };
    cursor = next;
    page = ahead;
  }
}
