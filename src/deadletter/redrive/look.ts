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
    // Nobody looks again at what has ended: who dies between the two must have put the task right. One that has completed
    // may go at once when it gets its own retention back: how it ended has to be known by then.
    const fixes = notes
      .filter(({ fix }) => fix !== undefined)
      .map((note) => ({ ...note, became: "" as const, mark: "" }));
    const before = fixes.filter(({ fix }) => fix?.message !== undefined);
    const after = fixes.filter(({ fix }) => fix?.message === undefined);
    if (before.length > 0) await store.noteRedriven(id, there, before, round);
    const withoutFix = notes.map((note) => ({ ...note, fix: undefined }));
    await store.noteRedriven(id, queue, withoutFix, round);
    if (after.length > 0) await store.noteRedriven(id, there, after, round);
  }
  const ends = judgements.flatMap(({ end, note: { cause } }): RedriveStanding[] => {
    if (end === undefined) return [];
    const failed = end === "failedSame" || end === "failedOther" ? 1 : 0;
    const counts = addedCounts(nothing.counts, { waiting: -1, [end]: 1 });
    return [{ counts, causes: cause === "" ? {} : { [cause]: { ended: 1, failed } } }];
  });
  return added(ends);
}
