import type { Act } from "../../broker/roles.js";
import type { TaskInfo } from "../../core/info.js";
import type { Desk } from "../desk.js";
import { isQuarantined } from "../quarantine.js";
import { ineligible } from "../redrive/eligible.js";
import { routedHeader } from "../redrive/message.js";
import { moveTasks } from "../redrive/mover.js";
import type { NamedRule } from "./rule.js";

/** Why a rule leaves a dead letter alone that it matches; undefined: nothing is against it. */
export function whyLeft(task: TaskInfo, { action }: Pick<NamedRule, "action">, nowMs: number): string | undefined {
  if (action.do === "discard") {
    if (isQuarantined(task)) return "quarantined";
    return task.acknowledged === undefined ? undefined : "acknowledged";
  }
  // Two rules that send it to each other's queue would do so for ever.
  const isBack = task.message?.headers[routedHeader]?.startsWith(rulePrefix) === true;
  if (action.do === "route" && (isBack || task.queue === action.queue)) return "routed";
  return ineligible(task, { needsHuman: false }, nowMs);
}

/** Of those that may be: which storage would let go (undefined); the others with why. Nothing is changed. */
export async function whatStorageSays(
  { store, nowMs }: Desk,
  queue: string,
  tasks: readonly TaskInfo[],
  { action, cap }: Pick<NamedRule, "action" | "cap">,
): Promise<(string | undefined)[]> {
  if (action.do === "discard" || tasks.length === 0) return tasks.map(() => undefined);
  const chosen = tasks.map(({ id, archivedAtMs = 0 }) => ({ id, atMs: archivedAtMs }));
  const receipts = await store.chooseDead("", queue, chosen, { dry: true, mayOnce: false, mostRedrives: cap }, nowMs());
  return receipts.map(({ status }) => (status === "chosen" ? undefined : status));
}

/** Does it, to tasks of one queue. Answers in order: "done", or why it was left. */
export async function carryOut(
  desk: Desk,
  rule: NamedRule,
  queue: string,
  tasks: readonly TaskInfo[],
): Promise<string[]> {
  const { action, cap } = rule;
  const by = actOf(desk, rule);
  if (action.do === "discard") {
    const ids = tasks.map(({ id }) => id);
    const nowMs = desk.nowMs();
    const receipts = await desk.store.discard(queue, ids, nowMs + action.keepMs, by, nowMs);
    return receipts.map((status) => (status === "discarded" ? "done" : status));
  }
  const says = await whatStorageSays(desk, queue, tasks, rule);
  const may = tasks.filter((_, n) => says[n] === undefined);
  const moved = await moveTasks(desk, queue, may, {
    redrive: "",
    settings: {
      attempts: action.attempts,
      minBuild: undefined,
      queue: action.do === "route" ? action.queue : undefined,
      maxRedrives: cap,
    },
    by,
    dueMs: 0,
    lookAtMs: 0,
    markOf: () => ({ mark: "", retentionMs: undefined }),
  });
  const statuses = moved.map(({ status }) => (status === "moved" ? "done" : status));
  let next = 0;
  return says.map((why) => why ?? statuses[next++]!);
}

const rulePrefix = "rule ";

/** Who died while it routed a task finds it by this request, so it is the same each time. */
function actOf({ act }: Desk, { name, owner, reason, sinceMs }: NamedRule): Act {
  const actor = `${rulePrefix}${name} of ${owner}`.slice(0, 200);
  const why = reason === "" ? `${rulePrefix}${name}` : reason;
  return act({ actor, reason: why, requestId: `${rulePrefix}${name} ${sinceMs}` }, "rule");
}
