import type { AcknowledgeReceipt } from "../broker/letter-marks.js";
import type { DiscardedTask, DiscardReceipt, PurgeReceipt, RestoreReceipt } from "../broker/trash.js";
import { invalidOption } from "../core/errors.js";
import { storedName } from "../core/names.js";
import { type Given, resolve, setting } from "../core/settings.js";
import { bySettings, listOptions, type ListOptions } from "../inspector/options.js";
import type { IdSelection } from "../inspector/selection.js";
import { idSelection, inBatches, type LettersDone } from "./by-ids.js";
import type { Desk } from "./desk.js";

export const discardSettings = {
  ...bySettings,
  keep: setting.duration({
    default: "14d",
    min: "1m",
    max: "3650d",
    says: "how long it can be restored; then it is deleted for good",
  }),
};
export type DiscardOptions = Given<typeof discardSettings>;

export const acknowledgeSettings = {
  ...bySettings,
  undo: setting.flag({ default: false, says: "take it back" }),
};
export type AcknowledgeOptions = Given<typeof acknowledgeSettings>;

/** Some of what the trash of a queue holds, what goes first first. */
export interface TrashPage {
  readonly items: readonly DiscardedTask[];
  readonly next: string | undefined;
  readonly previous: string | undefined;
}

export async function discard(
  { store, act, nowMs }: Desk,
  selection: IdSelection,
  options: DiscardOptions | undefined,
): Promise<LettersDone<DiscardReceipt>> {
  const { keepMs, ...given } = resolve(discardSettings, options, "discard");
  if (given.reason === undefined)
    throw invalidOption("discard.reason", "must say why: whoever looks later wants to know");
  const by = act(given, "discard");
  const checked = idSelection(selection, "discard");
  return inBatches(checked, { to: "trash", good: ["discarded"], by }, (ids) =>
    store.discard(checked.queue, ids, nowMs() + keepMs, by, nowMs()),
  );
}

export async function restore(
  { store, act, nowMs }: Desk,
  selection: IdSelection,
  options: Given<typeof bySettings> | undefined,
): Promise<LettersDone<RestoreReceipt>> {
  const by = act(options, "restore");
  const checked = idSelection(selection, "restore");
  return inBatches(checked, { to: "archived", good: ["restored", "withoutLock"], by }, (ids) =>
    store.restore(checked.queue, ids, by, nowMs()),
  );
}

export async function purge(
  { store, act, nowMs }: Desk,
  selection: IdSelection,
  options: Given<typeof bySettings> | undefined,
): Promise<LettersDone<PurgeReceipt>> {
  const by = act(options, "purge");
  const checked = idSelection(selection, "purge");
  return inBatches(checked, { to: "deleted", good: ["purged"], by }, (ids) =>
    store.purge(checked.queue, ids, by, nowMs()),
  );
}

export async function trash({ store }: Desk, queue: string, options: ListOptions | undefined): Promise<TrashPage> {
  const { items, next, previous } = await store.listTrash(
    storedName(queue, "trash.queue"),
    listOptions(options, "list"),
  );
  return { items, next, previous };
}

export async function acknowledge(
  { store, act, nowMs }: Desk,
  selection: IdSelection,
  options: AcknowledgeOptions | undefined,
): Promise<LettersDone<AcknowledgeReceipt>> {
  const { undo, ...given } = resolve(acknowledgeSettings, options, "acknowledge");
  const by = act(given, "acknowledge");
  const checked = idSelection(selection, "acknowledge");
  return inBatches(checked, { to: "acknowledged", good: ["acknowledged"], by }, (ids) =>
    store.acknowledge(checked.queue, ids, !undo, by, nowMs()),
  );
}
