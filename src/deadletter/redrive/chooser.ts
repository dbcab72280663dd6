import type { Chosen } from "../../broker/redriving.js";
import type { TaskInfo } from "../../core/info.js";
import type { Desk } from "../desk.js";
import { ineligible } from "./eligible.js";
import type { Ineligible } from "./reasons.js";
import type { RunSettings } from "./options.js";
import type { SelectedPage } from "./selection.js";

export interface Refused {
  readonly queue: string;
  readonly id: string;
  readonly why: Ineligible;
  /** Of a conflict, who holds the lock. */
  readonly holder?: string | undefined;
}

type How = Pick<RunSettings, "needsHuman" | "atMostOnce" | "maxRedrives">;

/** Of a page of a selection what may be run again together, by queue, and what not. Nothing is written. */
export function sifted(page: SelectedPage, how: How, nowMs: number) {
  const fit = new Map<string, TaskInfo[]>();
  const refused: Refused[] = [...page.others];
  for (const task of page.tasks) {
    const { queue, id } = task;
    const why = ineligible(task, how, nowMs);
    if (why !== undefined) refused.push({ queue, id, why });
    else if (fit.has(queue)) fit.get(queue)!.push(task);
    else fit.set(queue, [task]);
  }
  return { fit, refused };
}

/** Chooses them for a redrive, or with `dry` says which could be. Answers what was not, and why. */
export async function choose(
  { store, nowMs }: Desk,
  redrive: string,
  queue: string,
  tasks: readonly TaskInfo[],
  { atMostOnce, maxRedrives }: How,
  dry: boolean,
): Promise<Refused[]> {
  const chosen = tasks.map(({ id, archivedAtMs = 0 }): Chosen => ({ id, atMs: archivedAtMs }));
  const how = { dry, mayOnce: atMostOnce, mostRedrives: maxRedrives };
  const receipts = await store.chooseDead(redrive, queue, chosen, how, nowMs());
  return receipts.flatMap(({ status, holder }, n): Refused[] =>
    status === "chosen" ? [] : [{ queue, id: tasks[n]!.id, why: status, holder }],
  );
}

/** How many were refused, by why. */
export function countedBy(
  counts: Readonly<Partial<Record<Ineligible, number>>>,
  refused: readonly Refused[],
): Partial<Record<Ineligible, number>> {
  const next = { ...counts };
  for (const { why } of refused) next[why] = (next[why] ?? 0) + 1;
  return next;
}
