import type { Act } from "../broker/roles.js";
import { HoldfastError, invalidOption } from "../core/errors.js";
import { type ByOptions, maxBatch } from "../inspector/options.js";
import { checkedSelection, type IdSelection } from "../inspector/selection.js";
import type { Desk } from "./desk.js";

/** What became of one task. */
export interface LetterReceipt<S extends string> {
  readonly id: string;
  readonly status: S;
}

/** One receipt an id, in order. */
export interface LettersDone<S extends string> {
  readonly receipts: readonly LetterReceipt<S>[];
}

/** @throws OPTION_INVALID */
export function idSelection(selection: unknown, verb: string): IdSelection {
  const checked = checkedSelection(selection, verb);
  if (!("ids" in checked)) throw invalidOption(`${verb}.selection.ids`, "must be a list of ids");
  return checked;
}

/** What is done to a list of ids. */
interface Verb<S extends string> {
  readonly verb: string;
  /** Where those go, for an error on the way. */
  readonly to: string;
  /** Receipts of those that went. */
  readonly good: readonly S[];
}

/**
 * One act on all these ids, batch by batch. An error that comes first is told as it is: nothing was done before it.
 * @throws OPTION_INVALID BULK_INTERRUPTED
 */
export async function actOnIds<S extends string>(
  desk: Desk,
  selection: IdSelection,
  given: ByOptions | undefined,
  { verb, to, good }: Verb<S>,
  act: (queue: string, ids: readonly string[], by: Act) => Promise<S[]>,
): Promise<LettersDone<S>> {
  const by = desk.act(given, verb);
  const { queue, ids } = idSelection(selection, verb);
  const receipts: LetterReceipt<S>[] = [];
  for (let from = 0; from < ids.length; from += maxBatch) {
    const some = ids.slice(from, from + maxBatch);
    try {
      const statuses = await act(queue, some, by);
      receipts.push(...statuses.map((status, n) => ({ id: some[n]!, status })));
    } catch (cause) {
      if (from === 0) throw cause;
      const moved = receipts.filter(({ status }) => good.includes(status)).length;
      const done = { queue, to, moved, skipped: from - moved, scanned: from, total: ids.length };
      throw new HoldfastError("BULK_INTERRUPTED", { ...done, requestId: by.requestId }, { cause });
    }
  }
  return { receipts };
}
