import type { Act } from "../broker/roles.js";
import { HoldfastError, invalidOption } from "../core/errors.js";
import { maxBatch } from "../inspector/options.js";
import { checkedSelection, type IdSelection } from "../inspector/selection.js";

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

/** Batch by batch. An error that comes first is told as it is: nothing was done before it. @throws BULK_INTERRUPTED */
export async function inBatches<S extends string>(
  { queue, ids }: IdSelection,
  { to, good, by }: { readonly to: string; readonly good: readonly S[]; readonly by: Act },
  act: (ids: readonly string[]) => Promise<S[]>,
): Promise<LettersDone<S>> {
  const receipts: LetterReceipt<S>[] = [];
  for (let from = 0; from < ids.length; from += maxBatch) {
    const some = ids.slice(from, from + maxBatch);
    try {
      const statuses = await act(some);
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
