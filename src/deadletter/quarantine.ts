import { maxCrashes } from "../broker/broker.js";
import type { QuarantineReceipt } from "../broker/letter-marks.js";
import { HoldfastError } from "../core/errors.js";
import type { TaskInfo } from "../core/info.js";
import { storedName } from "../core/names.js";
import type { ByOptions } from "../inspector/options.js";
import type { IdSelection } from "../inspector/selection.js";
import { actOnIds, type LettersDone } from "./by-ids.js";
import type { Desk } from "./desk.js";

/**
 * Tasks that may do harm: workers died of them, or somebody said so. They are run one by one, by hand; a redrive, a rule and
 * whatever runs many leave them where they are.
 */
export const isQuarantined = ({ quarantined, failure, crashes }: TaskInfo): boolean =>
  quarantined !== undefined || failure?.reason === "quarantined" || crashes >= maxCrashes;

/** `on` false: those that somebody put there; what workers died of stays. */
export async function quarantine(
  desk: Desk,
  selection: IdSelection,
  on: boolean,
  options?: ByOptions,
): Promise<LettersDone<QuarantineReceipt>> {
  const verb = on ? "quarantine" : "unquarantine";
  return actOnIds(desk, selection, options, { verb, to: verb, good: ["marked"] }, async (queue, ids, by) =>
    desk.store.quarantine(queue, ids, on, by, desk.nowMs()),
  );
}

/**
 * Lets one task of the quarantine run, once, with nothing else beside it in its worker where workers died of it. It stays
 * marked: what fails again is in quarantine again.
 * @throws TASK_NOT_FOUND NOT_QUARANTINED OPTION_INVALID
 */
export async function runQuarantined(desk: Desk, queue: string, id: string, by?: ByOptions): Promise<TaskInfo> {
  const act = desk.act(by, "runQuarantined");
  const ref = { queue: storedName(queue, "runQuarantined.queue"), id: storedName(id, "runQuarantined.id") };
  const [task] = await desk.broker.find([ref]);
  if (task === undefined) throw new HoldfastError("TASK_NOT_FOUND", ref);
  if (task.state !== "archived" || !isQuarantined(task))
    throw new HoldfastError("NOT_QUARANTINED", { ...ref, state: task.state });
  const answer = await desk.broker.move({ queue: ref.queue, ids: [id] }, "pending", act, { limit: 1 }, desk.nowMs());
  if ("receipts" in answer && answer.receipts[0] === "moved") return task;
  throw new HoldfastError("TASK_NOT_FOUND", ref);
}
