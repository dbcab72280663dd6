import type { Broker, Looking } from "../broker/broker.js";
import type { Act, MoveSelection, MoveTarget, Steering } from "../broker/roles.js";
import { HoldfastError } from "../core/errors.js";
import type { Bulk, BulkProgress } from "./options.js";
import { pagesOf, scanPage } from "./pages.js";
import type { IdSelection, StateSelection } from "./selection.js";

/** What became of one task; `wrongState`: it is active, or where it was to be moved to. */
export interface TaskReceipt {
  readonly id: string;
  readonly status: "moved" | "notFound" | "wrongState";
}

/** One receipt an id, in order; fewer than ids where the act was stopped. */
export interface IdsMoved {
  readonly receipts: readonly TaskReceipt[];
}

export interface StateMoved extends Omit<BulkProgress, "total"> {
  /** Undefined when all is done that was there at the beginning; else, where to go on: an option of the same verb. */
  readonly cursor: string | undefined;
}

/** One verb over one selection: who, where to, in which batches. */
export interface Moving {
  readonly broker: Looking & Steering & Pick<Broker, "clock">;
  readonly to: MoveTarget;
  readonly by: Act;
  readonly options: Bulk;
}

/** Moves batches of ids, counts, tells of progress, and says how far it came when storage fails. */
class Tally {
  moved = 0;
  skipped = 0;
  scanned = 0;
  readonly #moving: Moving;
  readonly #queue: string;
  readonly #total: number;

  constructor(moving: Moving, queue: string, total: number) {
    this.#moving = moving;
    this.#queue = queue;
    this.#total = total;
  }

  get stopped(): boolean {
    return this.#moving.options.signal?.aborted === true;
  }

  get progress(): BulkProgress {
    return { moved: this.moved, skipped: this.skipped, scanned: this.scanned, total: this.#total };
  }

  async ids(ids: readonly string[], scanned: number): Promise<TaskReceipt[]> {
    const receipt = await this.move({ queue: this.#queue, ids }, ids.length);
    const receipts = "receipts" in receipt ? receipt.receipts : [];
    const moved = receipts.filter((one) => one === "moved").length;
    this.add(moved, ids.length - moved, scanned);
    return receipts.map((status, n) => ({ id: ids[n]!, status }));
  }

  async move(selection: MoveSelection, limit: number, cursor?: string) {
    const { broker, to, by, options } = this.#moving;
    const attempts = options.attempts === undefined ? {} : { attempts: options.attempts };
    return this.orInterrupted(() =>
      broker.move(selection, to, by, { limit, cursor, ...attempts }, broker.clock.nowMs()),
    );
  }

  /** An error that comes first is told as it is: nothing was done before it. */
  async orInterrupted<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (cause) {
      if (this.scanned === 0) throw cause;
      const { to, by } = this.#moving;
      const done = { queue: this.#queue, to, ...this.progress, requestId: by.requestId };
      throw new HoldfastError("BULK_INTERRUPTED", done, { cause });
    }
  }

  add(moved: number, skipped: number, scanned: number): void {
    this.moved += moved;
    this.skipped += skipped;
    this.scanned += scanned;
    this.#moving.options.onProgress?.(this.progress);
  }
}

export async function moveIds(moving: Moving, { queue, ids }: IdSelection): Promise<IdsMoved> {
  const tally = new Tally(moving, queue, ids.length);
  const receipts: TaskReceipt[] = [];
  const { batch } = moving.options;
  for (let from = 0; from < ids.length && !tally.stopped; from += batch) {
    const some = ids.slice(from, from + batch);
    receipts.push(...(await tally.ids(some, some.length)));
  }
  return { receipts };
}

/** The front of the selection, again and again: what was moved is gone from it. */
export async function moveState(moving: Moving, all: StateSelection, total: number): Promise<StateMoved> {
  const tally = new Tally(moving, all.queue, total);
  const { type: _, ...selection } = all;
  const { batch, limit = Number.POSITIVE_INFINITY } = moving.options;
  // No more than there were: what comes back meanwhile would keep it going for ever.
  const most = Math.min(total, limit);
  let cursor = moving.options.cursor === "" ? undefined : moving.options.cursor;
  let more = total > 0;
  while (more && tally.scanned < most && !tally.stopped) {
    const receipt = await tally.move(selection, Math.min(batch, most - tally.scanned), cursor);
    const {
      moved,
      skipped,
      cursor: next,
    } = "cursor" in receipt ? receipt : { moved: 0, skipped: 0, cursor: undefined };
    tally.add(moved, skipped, moved + skipped);
    more = next !== undefined && (moved + skipped > 0 || next !== cursor);
    cursor = next;
  }
  return answer(tally, more && tally.scanned < total ? (cursor ?? "") : undefined);
}

/** Storage has no index by type: the selection is read page by page, and what fits is moved by its ids. */
export async function moveType(moving: Moving, selection: StateSelection, total: number): Promise<StateMoved> {
  const tally = new Tally(moving, selection.queue, total);
  const { type, ...all } = selection;
  const { batch, limit = Number.POSITIVE_INFINITY } = moving.options;
  const from = moving.options.cursor === "" ? undefined : moving.options.cursor;
  const pages = pagesOf(moving.broker, all, { limit: Math.min(batch, scanPage), cursor: from });
  for (;;) {
    const { value: page } = await tally.orInterrupted(() => pages.next());
    if (page === undefined || tally.scanned >= total) return answer(tally, undefined);
    const left = limit - tally.moved - tally.skipped;
    if (tally.stopped || left <= 0) return answer(tally, page.cursor ?? "");
    const ids = page.items.filter((task) => task.message?.type === type).map(({ id }) => id);
    // A page that is done in part is begun again by the next call: what was moved is gone from it.
    const whole = ids.length <= left;
    if (ids.length > 0) await tally.ids(whole ? ids : ids.slice(0, left), page.items.length);
    else tally.add(0, 0, page.items.length);
    if (!whole) return answer(tally, page.cursor ?? "");
  }
}

const answer = ({ moved, skipped, scanned }: Tally, cursor: string | undefined): StateMoved => ({
  moved,
  skipped,
  scanned,
  cursor,
});
