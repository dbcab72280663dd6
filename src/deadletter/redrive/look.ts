import type { RedriveStand } from "../../broker/redriving.js";
import type { Desk } from "../desk.js";
import type { RedriveDocument, RedriveStanding } from "./document.js";
import { judged, markOf } from "./outcome.js";
import { added, addedCounts, nothing } from "./standing.js";

/** Looks at tasks of a queue that were moved, and notes what became of them. Answers what that changes of the standing. */
export async function lookAtMoved(
  { broker, store }: Desk,
  id: string,
  { settings, round }: RedriveDocument,
  queue: string,
  due: RedriveStand["due"],
  { nowMs, last }: { readonly nowMs: number; readonly last: boolean },
): Promise<RedriveStanding> {
  const there = settings.queue ?? queue;
  const tasks = await broker.find(due.map((one) => ({ queue: there, id: one.id })));
  const judgements = due.map((one, n) => judged(one.id, markOf(one.mark), tasks[n], nowMs, last));
  const notes = judgements.map(({ note }) => note);
  if (there === queue) await store.noteRedriven(id, queue, notes, round);
  else {
    const withoutFix = notes.map((note) => ({ ...note, fix: undefined }));
    await store.noteRedriven(id, queue, withoutFix, round);
    const fixed = notes.filter(({ fix }) => fix !== undefined);
    const fixes = fixed.map((note) => ({ ...note, became: "" as const, mark: "" }));
    if (fixes.length > 0) await store.noteRedriven(id, there, fixes, round);
  }
  const ends = judgements.flatMap(({ end, note: { cause } }): RedriveStanding[] => {
    if (end === undefined) return [];
    const failed = end === "failedSame" || end === "failedOther" ? 1 : 0;
    const counts = addedCounts(nothing.counts, { waiting: -1, [end]: 1 });
    return [{ counts, causes: cause === "" ? {} : { [cause]: { ended: 1, failed } } }];
  });
  return added(ends);
}
