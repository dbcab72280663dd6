import { invalidOption } from "../../core/errors.js";
import { groupOf } from "../../broker/failure-groups.js";
import type { Desk } from "../desk.js";
import { choose, countedBy, type Refused, sifted } from "./chooser.js";
import type { Ineligible } from "./reasons.js";
import type { RedriveSettings } from "./options.js";
import { maxQueues } from "./queue-pages.js";
import { type DeadSelection, selected } from "./selection.js";

/** What a redrive would do. */
export interface RedrivePlan {
  /** How many it would run, and by queue. */
  readonly tasks: number;
  readonly queues: Readonly<Record<string, number>>;
  /** The oldest of them became a dead letter then, Unix ms. */
  readonly oldestAtMs: number | undefined;
  /** By cause, the most frequent first; at most 20. */
  readonly causes: readonly { readonly fingerprint: string; readonly type: string; readonly tasks: number }[];
  /** What is selected and would not be run, by why, and the first 20 of them. */
  readonly ineligible: Readonly<Partial<Record<Ineligible, number>>>;
  readonly refused: readonly Refused[];
  /** How long moving them takes at the least, ms: handlers and retries not counted. */
  readonly estimateMs: number;
  /** Tasks that were looked at. */
  readonly scanned: number;
}

export interface PlanWatching {
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: { readonly scanned: number; readonly total: number }) => void) | undefined;
}

const named = 20;

/** Reads only. */
export async function plan(
  desk: Desk,
  selection: DeadSelection,
  settings: RedriveSettings,
  { signal, onProgress }: PlanWatching = {},
): Promise<RedrivePlan> {
  const nowMs = desk.nowMs();
  const queues = new Map<string, number>();
  const causes = new Map<string, { type: string; tasks: number }>();
  let ineligible: RedrivePlan["ineligible"] = {};
  const refused: Refused[] = [];
  let tasks = 0;
  let oldestAtMs: number | undefined;
  let scanned = 0;
  for await (const page of selected(desk, selection, nowMs, signal)) {
    const { fit, refused: some } = sifted(page, settings, nowMs);
    for (const [queue, all] of fit) some.push(...(await choose(desk, "plan", queue, all, settings, true)));
    const not = new Set(some.map(({ queue, id }) => `${queue} ${id}`));
    for (const [queue, all] of fit) {
      for (const task of all) {
        if (not.has(`${queue} ${task.id}`)) continue;
        tasks += 1;
        queues.set(queue, (queues.get(queue) ?? 0) + 1);
        oldestAtMs = Math.min(oldestAtMs ?? Number.POSITIVE_INFINITY, task.archivedAtMs ?? nowMs);
        const group = groupOf(task);
        const cause = causes.get(group) ?? { type: task.message!.type, tasks: 0 };
        causes.set(group, { ...cause, tasks: cause.tasks + 1 });
      }
    }
    ineligible = countedBy(ineligible, some);
    refused.push(...some.slice(0, named - refused.length));
    ({ scanned } = page);
    if (queues.size > maxQueues)
      throw invalidOption("plan.selection", `is in more than ${maxQueues} queues: select fewer`);
    onProgress?.(page);
  }
  const most = [...causes].map(([fingerprint, cause]) => ({ fingerprint, ...cause }));
  return {
    tasks,
    queues: Object.fromEntries(queues),
    oldestAtMs,
    causes: most.toSorted((a, b) => b.tasks - a.tasks).slice(0, named),
    ineligible,
    refused,
    estimateMs: estimateMs(tasks, settings),
    scanned,
  };
}

/** While it comes up to speed half as many are moved as at full speed. */
export function estimateMs(
  tasks: number,
  { rate, rampMs, canary }: Pick<RedriveSettings, "rate" | "rampMs" | "canary">,
): number {
  const rest = Math.max(0, tasks - canary);
  const inRamp = (rate * rampMs) / 2_000;
  const ms = rest <= inRamp ? Math.sqrt((rest * 2_000 * rampMs) / rate) : rampMs + ((rest - inRamp) / rate) * 1_000;
  return Math.ceil(ms);
}
