import type { AcknowledgeReceipt } from "../broker/letter-marks.js";
import type { DiscardedTask, DiscardReceipt, PurgeReceipt, RestoreReceipt } from "../broker/trash.js";
import { invalidOption } from "../core/errors.js";
import { storedName } from "../core/names.js";
import { type Given, resolve, setting } from "../core/settings.js";
import { shownTask } from "../core/shown-task.js";
import { type ByOptions, bySettings, listOptions, type ListOptions } from "../inspector/options.js";
import type { IdSelection } from "../inspector/selection.js";
import { actOnIds, type LettersDone } from "./by-ids.js";
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
  desk: Desk,
  selection: IdSelection,
  options: DiscardOptions | undefined,
): Promise<LettersDone<DiscardReceipt>> {
  const { keepMs, ...given } = resolve(discardSettings, options, "discard");
  if (given.reason === undefined)
    throw invalidOption("discard.reason", "must say why: whoever looks later wants to know");
  const verb = { verb: "discard", to: "trash", good: ["discarded"] } as const;
  return actOnIds(desk, selection, given, verb, async (queue, ids, by) =>
    desk.store.discard(queue, ids, desk.nowMs() + keepMs, by, desk.nowMs()),
  );
}

export async function restore(
  desk: Desk,
  selection: IdSelection,
  options: ByOptions | undefined,
): Promise<LettersDone<RestoreReceipt>> {
  const verb = { verb: "restore", to: "archived", good: ["restored", "withoutLock"] } as const;
  return actOnIds(desk, selection, options, verb, async (queue, ids, by) =>
    desk.store.restore(queue, ids, by, desk.nowMs()),
  );
}

export async function purge(
  desk: Desk,
  selection: IdSelection,
  options: ByOptions | undefined,
): Promise<LettersDone<PurgeReceipt>> {
  const verb = { verb: "purge", to: "deleted", good: ["purged"] } as const;
  return actOnIds(desk, selection, options, verb, async (queue, ids, by) =>
    desk.store.purge(queue, ids, by, desk.nowMs()),
  );
}

export async function trash({ store }: Desk, queue: string, options: ListOptions | undefined): Promise<TrashPage> {
  const { items, next, previous } = await store.listTrash(
    storedName(queue, "trash.queue"),
    listOptions(options, "list"),
  );
  return { items: items.map(({ task, ...how }) => ({ ...how, task: shownTask(task) })), next, previous };
}

export async function acknowledge(
  desk: Desk,
  selection: IdSelection,
  options: AcknowledgeOptions | undefined,
): Promise<LettersDone<AcknowledgeReceipt>> {
  const { undo, ...given } = resolve(acknowledgeSettings, options, "acknowledge");
  const verb = { verb: "acknowledge", to: "acknowledged", good: ["acknowledged"] } as const;
  return actOnIds(desk, selection, given, verb, async (queue, ids, by) =>
    desk.store.acknowledge(queue, ids, !undo, by, desk.nowMs()),
  );
}
