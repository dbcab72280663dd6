import { groupOf } from "../../broker/failure-groups.js";
import type { RedriveCounts } from "../../broker/redriving.js";
import type { Desk } from "../desk.js";
import type { RedriveDocument } from "./document.js";
import { ineligible } from "./eligible.js";
import { routedHeader } from "./message.js";
import { type Moved, moveTasks } from "./mover.js";
import { type Mark, markText, retentionToSee } from "./outcome.js";

/** Moves these tasks of a queue, or names them as not moved. Answers what that changes of the counts. */
export async function moveLeft(
  desk: Desk,
  redrive: string,
  { settings, by, round }: RedriveDocument,
  queue: string,
  ids: readonly string[],
): Promise<Partial<RedriveCounts>> {
  const { broker, store } = desk;
  const nowMs = desk.nowMs();
  const found = await broker.find(ids.map((id) => ({ queue, id })));
  const results = new Map<string, Moved>();
  const tasks = found.flatMap((task, n) => {
    const why =
      task === undefined ? "notFound" : task.state === "archived" ? ineligible(task, settings, nowMs) : "notDead";
    if (why !== undefined) results.set(ids[n]!, { status: why });
    return why === undefined ? [task!] : [];
  });
  const newMark = (fingerprint: string, retentionMs: number): Mark => ({ fingerprint, retentionMs, movedAtMs: nowMs });
  const receipts = await moveTasks(desk, queue, tasks, {
    redrive,
    settings,
    by,
    dueMs: 0,
    lookAtMs: nowMs,
    markOf: (task) => ({
      mark: markText(newMark(groupOf(task), task.message!.retentionMs)),
      retentionMs: retentionToSee(task.message!.retentionMs),
    }),
  });
  for (const [n, task] of tasks.entries()) results.set(task.id, receipts[n]!);
  const notes = [...results].flatMap(([id, { status, holder }]) =>
    status === "moved" || status === "changed" || status === "done"
      ? []
      : [{ id, became: "notMoved" as const, mark: markText({ ...newMark("", 0), why: status, holder }), cause: "" }],
  );
  if (notes.length > 0) await store.noteRedriven(redrive, queue, notes, round);
  const moved = [...results.values()].filter(({ status }) => status === "moved").length;
  return { left: -(moved + notes.length), waiting: moved, notMoved: notes.length };
}

/** Those that it has brought to another queue already: its process died before they had left theirs. */
export async function broughtBefore(
  { broker }: Desk,
  redrive: string,
  { settings }: RedriveDocument,
  queue: string,
  ids: readonly string[],
): Promise<string[]> {
  const there = settings.queue;
  if (there === undefined || there === queue || ids.length === 0) return [];
  const found = await broker.find(ids.map((id) => ({ queue: there, id })));
  return ids.filter((_, n) => found[n]?.message?.headers[routedHeader] === redrive);
}
