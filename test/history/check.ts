import { acceptedAs, isLost, isThere, judgeCalls, judgeLocks } from "./acceptance.js";
import type { History } from "./events.js";
import { Lives } from "./lives.js";
import { judgeCounters, judgeEnds, judgeMemory, judgePlaces } from "./rest.js";
import { judgeOrder, judgeRuns } from "./runs.js";
import type { Verdict } from "./verdict.js";

/**
 * What a history shows. It believes no queue: it compares what callers were told, what handlers did, and what storage
 * holds at the end. One walk over the events, then one over the tasks.
 */
export function check(history: History): Verdict {
  const { events, final } = history;
  const lives = new Lives(history);
  const runs = judgeRuns(lives);
  const spooled = new Set(final.spooled);
  const all = [...lives.lives.values()];
  const count = (which: (life: (typeof all)[number]) => boolean) => all.filter(which).length;
  const uncertain = all.filter(
    ({ invoke, answers }) => invoke !== undefined && (answers[0]?.e ?? "unknown") === "unknown",
  );
  return {
    violations: [
      ...judgeCalls(lives, final),
      ...judgeLocks(lives, final),
      ...runs.violations,
      ...judgeOrder(lives),
      ...judgePlaces(final),
      ...judgeCounters(lives, final),
      ...judgeEnds(lives, final),
      ...judgeMemory(events),
    ],
    counts: {
      invoked: count(({ invoke }) => invoke !== undefined),
      accepted: count((life) => acceptedAs(life) !== undefined),
      spooled: count(({ answers }) => answers.some((one) => one.e === "accepted" && one.how === "spooled")),
      rejected: count(({ answers }) => answers[0]?.e === "rejected"),
      unknown: uncertain.length,
      recovered: uncertain.filter(isThere).length,
      runs: all.reduce((sum, life) => sum + life.runs.length, 0),
      done: count((life) => life.runs.some(({ finish }) => finish?.how === "done")),
      lost: count((life) => isLost(life, lives, spooled)),
    },
    duplicates: Object.fromEntries(runs.duplicates),
  };
}
