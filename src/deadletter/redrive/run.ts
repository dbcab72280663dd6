import { HoldfastError, invalidOption } from "../../core/errors.js";
import type { TaskInfo } from "../../core/info.js";
import type { Desk } from "../desk.js";
import { choose, countedBy, type Refused, sifted } from "./chooser.js";
import type { Ineligible } from "./reasons.js";
import { moveTasks } from "./mover.js";
import { runOptions, type RunDeadOptions } from "./options.js";
import { markText } from "./outcome.js";
import { checkedSelection, type DeadSelection, selected, type SelectedPage } from "./selection.js";

/** What a run has done. */
export interface RunResult {
  readonly moved: number;
  /** What was not moved, by why, and the first 100 of them. */
  readonly ineligible: Readonly<Partial<Record<Ineligible, number>>>;
  readonly refused: readonly Refused[];
  /** False where its signal stopped it, or its limit: the same call goes on. */
  readonly all: boolean;
}

const named = 100;

/** Runs dead letters again, as fast as storage takes them. One that is named by its id alone is somebody's decision. */
export async function runDead(desk: Desk, given: DeadSelection, options?: RunDeadOptions): Promise<RunResult> {
  const selection = checkedSelection(given, "run");
  const { by, settings, signal, onProgress } = runOptions(options);
  const act = desk.act(by, "run");
  const isOne = typeof selection !== "string" && selection.ids.length === 1;
  if (settings.queue !== undefined && settings.atMostOnce)
    throw invalidOption("run.atMostOnce", "cannot be given with another queue: that would not know of it");
  const how = isOne ? { ...settings, needsHuman: true, atMostOnce: true, maxRedrives: alwaysOnce } : settings;
  const limit = settings.limit ?? Number.POSITIVE_INFINITY;
  let moved = 0;
  let ineligible: RunResult["ineligible"] = {};
  const refused: Refused[] = [];
  const refuse = (some: readonly Refused[]) => {
    ineligible = countedBy(ineligible, some);
    refused.push(...some.slice(0, Math.max(0, named - refused.length)));
  };
  try {
    for await (const page of selected(desk, selection, desk.nowMs(), signal)) {
      const { fit, refused: some } = isOne ? decided(page) : sifted(page, how, desk.nowMs());
      refuse(some);
      for (const [queue, tasks] of fit) {
        const not = how.atMostOnce ? [] : await choose(desk, "", queue, tasks, how, true);
        refuse(not);
        const ids = new Set(not.map(({ id }) => id));
        const those = tasks.filter(({ id }) => !ids.has(id)).slice(0, limit - moved);
        const receipts = await moveTasks(desk, queue, those, {
          redrive: "",
          settings: how,
          by: act,
          dueMs: settings.at?.getTime() ?? 0,
          lookAtMs: 0,
          markOf: () => ({ mark: noMark, retentionMs: undefined }),
        });
        const left = receipts.flatMap(({ status, holder }, n): Refused[] => {
          if (status === "moved") return [];
          // Somebody changed it a moment ago: it is not as it was selected.
          const why = status === "changed" || status === "done" ? "notDead" : status;
          return [{ queue, id: those[n]!.id, why, holder }];
        });
        moved += those.length - left.length;
        refuse(left);
      }
      onProgress?.({ moved, refused: countOf(ineligible) });
      if (moved >= limit) return { moved, ineligible, refused, all: false };
    }
  } catch (cause) {
    if (moved === 0) throw cause;
    throw new HoldfastError("RUN_INTERRUPTED", { moved, requestId: act.requestId }, { cause });
  }
  return { moved, ineligible, refused, all: signal?.aborted !== true };
}

/** No bound on what somebody runs one by one. */
const alwaysOnce = 1_000_000_000;
const noMark = markText({ fingerprint: "", retentionMs: 0, movedAtMs: 0 });

const countOf = (ineligible: RunResult["ineligible"]) => Object.values(ineligible).reduce((sum, n) => sum + n, 0);

/** A task that is named by itself runs whatever is said against running it with others. */
function decided({ tasks, others }: SelectedPage): { fit: Map<string, TaskInfo[]>; refused: Refused[] } {
  const unreadable = tasks.filter(({ message }) => message === undefined);
  const refused = unreadable.map(({ queue, id }): Refused => ({ queue, id, why: "undecodable" }));
  const fit = new Map(tasks.filter(({ message }) => message !== undefined).map((task) => [task.queue, [task]]));
  return { fit, refused: [...others, ...refused] };
}
