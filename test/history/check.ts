import { acceptedAs, isLost, isThere, judgeCalls, judgeLocks } from "./acceptance.js";
import type { FinalState, History } from "./events.js";
import { type Life, Lives } from "./lives.js";
import { judgeCounters, judgeEnds, judgeFlaps, judgeMemory, judgePlaces, judgeRest } from "./rest.js";
import { judgeOrder, judgeRuns, type Repeat } from "./runs.js";
import type { Verdict } from "./verdict.js";

/** What is found of each task for itself, so that it can be judged some tasks at a time. */
export interface TasksVerdict extends Verdict {
  readonly lost: readonly Life[];
  readonly repeats: readonly Repeat[];
}

/**
 * What a history shows. It believes no queue: it compares what callers were told, what handlers did, and what storage
 * holds at the end. One walk over the events, then one over the tasks.
 */
export function check(history: History): Verdict {
  const { events, final } = history;
  const lives = new Lives(history);
  const { violations, counts, duplicates } = checkTasks(lives, final);
  return {
    violations: [
      ...violations,
      ...judgeOrder(lives),
      ...judgePlaces(final),
      ...judgeCounters(lives, final),
      ...judgeRest(final),
      ...judgeMemory(events),
      ...judgeFlaps(events),
    ],
    counts,
    duplicates,
  };
}

export function checkTasks(lives: Lives, final: FinalState): TasksVerdict {
  const runs = judgeRuns(lives);
  const spooled = new Set(final.spooled);
  const all = [...lives.lives.values()];
  const lost = all.filter((life) => isLost(life, lives, spooled));
  const count = (which: (life: Life) => boolean) => all.filter(which).length;
  const uncertain = all.filter(
    ({ invoke, answers }) => invoke !== undefined && (answers[0]?.e ?? "unknown") === "unknown",
  );
  return {
    violations: [...judgeCalls(lives, final), ...judgeLocks(lives, final), ...runs.violations, ...judgeEnds(lives)],
    counts: {
      invoked: count(({ invoke }) => invoke !== undefined),
      accepted: count((life) => acceptedAs(life) !== undefined),
      spooled: count(({ answers }) => answers.some((one) => one.e === "accepted" && one.how === "spooled")),
      rejected: count(({ answers }) => answers[0]?.e === "rejected"),
      unknown: uncertain.length,
      recovered: uncertain.filter(isThere).length,
      runs: all.reduce((sum, life) => sum + life.runs.length, 0),
      done: count((life) => life.runs.some(({ finish }) => finish?.how === "done")),
      lost: lost.length,
    },
    duplicates: countsOf(runs.repeats.map(({ cause }) => cause)),
    lost,
    repeats: runs.repeats,
  };
}

function countsOf(names: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const name of names) counts[name] = (counts[name] ?? 0) + 1;
  return counts;
}
