import type { DeadMove } from "../../broker/redriving.js";
import type { Act } from "../../broker/roles.js";
import type { TaskInfo } from "../../core/info.js";
import type { NewTask } from "../../core/message.js";
import type { Desk } from "../desk.js";
import { isQuarantined } from "../quarantine.js";
import type { NamedRule } from "./rule.js";

/** What became of a dead letter that a rule took: "done", or why it was left. */
export type CarriedOut = string;

/** Why a rule leaves a dead letter alone that it matches; undefined: nothing is against it. */
export function whyLeft(task: TaskInfo, rule: Pick<NamedRule, "action">, nowMs: number): string | undefined {
  const { message, acknowledged } = task;
  if (isQuarantined(task)) return "quarantined";
  if (acknowledged !== undefined) return "acknowledged";
  if (rule.action.do === "discard") return undefined;
  if (message === undefined) return "undecodable";
  if (message.deadlineMs > 0 && message.deadlineMs <= nowMs) return "deadline";
  const routedBefore = message.headers[routedHeader]?.startsWith("rule ") === true;
  // Two rules that send it to each other's queue would do so for ever.
  return rule.action.do === "route" && (routedBefore || task.queue === rule.action.queue) ? "routed" : undefined;
}

/** Of those that may be: which storage would let go; the others with why. Nothing is changed. */
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

/** Does it, to tasks of one queue. Answers in order. */
export async function carryOut(
  desk: Desk,
  rule: NamedRule,
  queue: string,
  tasks: readonly TaskInfo[],
  by: Act,
): Promise<CarriedOut[]> {
  const { action } = rule;
  const { store, nowMs } = desk;
  if (action.do === "discard") {
    const ids = tasks.map(({ id }) => id);
    const receipts = await store.discard(queue, ids, nowMs() + action.keepMs, by, nowMs());
    return receipts.map((status) => (status === "discarded" ? "done" : status));
  }
  const says = await whatStorageSays(desk, queue, tasks, rule);
  const may = tasks.filter((_, n) => says[n] === undefined);
  const moved =
    action.do === "run"
      ? await move(desk, rule, queue, may, "pending", by)
      : await route(desk, rule, queue, may, action.queue, by);
  let next = 0;
  return says.map((why) => why ?? moved[next++]!);
}

/** One more run each. */
async function move(
  { store, nowMs }: Desk,
  { cap }: NamedRule,
  queue: string,
  tasks: readonly TaskInfo[],
  to: "pending" | "away",
  by: Act,
): Promise<CarriedOut[]> {
  if (tasks.length === 0) return [];
  const moves = tasks.map(({ id, bytes }): DeadMove => ({ id, expected: bytes, message: bytes, mark: "" }));
  const how = { to, attempts: 1, mostRedrives: cap, lookAtMs: 0, verb: "run" } as const;
  const receipts = await store.moveDead("", queue, moves, how, by, nowMs());
  return receipts.map(({ status }) => (status === "moved" ? "done" : status));
}

/** By whom a task was brought to another queue: what has this there is the same one. */
const routedHeader = "holdfast-redrive";

/**
 * The other queue has it first, under the same id, and it leaves its queue afterwards: who dies in between has it in both,
 * and the next attempt finds that the other queue has it.
 */
async function route(
  desk: Desk,
  rule: NamedRule,
  queue: string,
  tasks: readonly TaskInfo[],
  to: string,
  by: Act,
): Promise<CarriedOut[]> {
  if (tasks.length === 0) return [];
  const mark = `rule ${rule.name}`;
  const receipts = await desk.broker.enqueue(
    tasks.map((task) => routed(task, to, mark)),
    desk.nowMs(),
  );
  const there = await desk.broker.find(tasks.map(({ id }) => ({ queue: to, id })));
  const taken = receipts.map(
    ({ status }, n) => status !== "idTaken" || there[n]?.message?.headers[routedHeader] === mark,
  );
  const moved = await move(
    desk,
    rule,
    queue,
    tasks.filter((_, n) => taken[n]),
    "away",
    by,
  );
  let next = 0;
  return taken.map((isTaken) => (isTaken ? moved[next++]! : "idTaken"));
}

/** Without its lock, for locks are a queue's. */
function routed(task: TaskInfo, queue: string, mark: string): NewTask {
  const message = task.message!;
  const headers = { ...message.headers, [routedHeader]: mark };
  return {
    message: { ...message, queue, uniqueKey: "", group: "", maxRetry: message.retried, headers },
    processAtMs: 0,
    uniqueForMs: 0,
    atMostOnce: false,
    repeat: true,
  };
}
