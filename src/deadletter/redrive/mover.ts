import type { DeadMove, DeadMoving } from "../../broker/redriving.js";
import type { Act } from "../../broker/roles.js";
import type { TaskInfo } from "../../core/info.js";
import type { Desk } from "../desk.js";
import type { Ineligible } from "./reasons.js";
import { bytesToRun, routed, routedHeader } from "./message.js";
import type { RunSettings } from "./options.js";
import { retentionToSee } from "./outcome.js";

/** How tasks are moved, for `run` and for redrives. */
export interface Moving {
  /** "" for none. */
  readonly redrive: string;
  readonly settings: Pick<RunSettings, "attempts" | "minBuild" | "queue" | "maxRedrives">;
  readonly by: Act;
  /** Not before, Unix ms; 0: now. */
  readonly dueMs: number;
  readonly lookAtMs: number;
  /** What is kept with the task, as JSON; and what its message says of its retention (undefined: its own). */
  readonly markOf: (task: TaskInfo) => { readonly mark: string; readonly retentionMs: number | undefined };
}

/** `changed`: read it again. `done`: it is not left to be moved. */
export type Moved = { readonly status: "moved" | "changed" | "done" | Ineligible; readonly holder?: string };

/** Moves dead letters of one queue. Answers in order. */
export async function moveTasks(
  desk: Desk,
  queue: string,
  tasks: readonly TaskInfo[],
  moving: Moving,
): Promise<Moved[]> {
  const { redrive, settings, by, dueMs, lookAtMs, markOf } = moving;
  const away = settings.queue !== undefined && settings.queue !== queue;
  const before = away ? await broughtTo(desk, settings.queue, queue, tasks, moving) : [];
  const moves = tasks.flatMap((task, n): DeadMove[] => {
    const { mark, retentionMs } = markOf(task);
    const message = away ? task.bytes : bytesToRun(task, settings, retentionMs);
    return before[n] === undefined ? [{ id: task.id, expected: task.bytes, message, mark }] : [];
  });
  const how: DeadMoving = {
    to: away ? "away" : dueMs > 0 ? "scheduled" : "pending",
    dueMs,
    attempts: settings.attempts,
    mostRedrives: settings.maxRedrives,
    lookAtMs,
    verb: redrive === "" ? "run" : "redrive",
  };
  const receipts = await desk.store.moveDead(redrive, queue, moves, how, by, desk.nowMs());
  let next = 0;
  return tasks.map((_, n): Moved => {
    if (before[n] !== undefined) return before[n];
    const receipt = receipts[next++]!;
    // The other queue has it already, and somebody else has moved it here at the same moment.
    const isTwice = away && (receipt.status === "notDead" || receipt.status === "notFound");
    return isTwice ? { status: "twice" } : receipt;
  });
}

/**
 * The other queue has it first, under its own id, and it leaves its queue afterwards: who dies in between leaves it in both,
 * here as a dead letter, and the next attempt finds that the other queue has it. Answers what was not brought, and why.
 */
async function broughtTo(
  { broker, store, nowMs }: Desk,
  to: string,
  queue: string,
  tasks: readonly TaskInfo[],
  { redrive, settings, dueMs, markOf, by }: Moving,
): Promise<(Moved | undefined)[]> {
  const how = { dry: true, mayOnce: false, mostRedrives: settings.maxRedrives };
  const chosen = tasks.map(({ id, archivedAtMs = 0 }) => ({ id, atMs: archivedAtMs }));
  const fit = await store.chooseDead(redrive, queue, chosen, how, nowMs());
  const name = redrive === "" ? by.requestId : redrive;
  const wanted = tasks.filter((_, n) => fit[n]!.status === "chosen");
  const messages = wanted.map((task) => {
    // Kept when it has completed: who dies before it leaves its queue finds it there, and does not bring it again.
    const retentionMs = retentionToSee(markOf(task).retentionMs ?? task.message!.retentionMs);
    return routed(task, { queue: to, by: name, how: settings, retentionMs, dueMs });
  });
  const receipts = messages.length === 0 ? [] : await broker.enqueue(messages, nowMs());
  const taken = wanted.filter((_, n) => receipts[n]!.status === "idTaken");
  const there = taken.length === 0 ? [] : await broker.find(taken.map(({ id }) => ({ queue: to, id })));
  const isOther = (task: TaskInfo) =>
    taken.includes(task) && there[taken.indexOf(task)]?.message?.headers[routedHeader] !== name;
  return tasks.map((task, n) => {
    const { status } = fit[n]!;
    if (status !== "chosen") return { ...fit[n]!, status };
    return isOther(task) ? { status: "idTaken" } : undefined;
  });
}
