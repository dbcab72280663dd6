import type { RedriveCounts } from "../../broker/redriving.js";
import { brakeSays, canarySays } from "./brake.js";
import type { RedriveDocument, RedriveStanding } from "./document.js";

/** Tasks that were moved, whatever became of them. */
export const movedOf = ({ waiting, succeeded, failedSame, failedOther, gone }: RedriveCounts): number =>
  waiting + succeeded + failedSame + failedOther + gone;

/** What a redrive that runs is to be, after what was seen of its tasks. */
export function nextOf(redrive: RedriveDocument, standing: RedriveStanding, nowMs: number): RedriveDocument {
  const { settings, phase, status, movedAtMs } = redrive;
  const { left, waiting } = standing.counts;
  if (status !== "running") return redrive;
  const says = stopSays(redrive, standing);
  if (says !== undefined) return { ...redrive, status: "braked", says };
  if (phase === "watching") {
    const isOver = waiting <= 0 || nowMs > movedAtMs + settings.watchMs;
    return isOver ? { ...redrive, phase: "ending" } : redrive;
  }
  if (left === 0) return { ...redrive, phase: "watching", movedAtMs: movedAtMs || nowMs };
  return canaryIsOut(redrive, standing) ? { ...redrive, phase: "moving", rampAtMs: nowMs } : redrive;
}

const canaryIsOut = ({ phase, settings }: RedriveDocument, { counts }: RedriveStanding) =>
  phase === "canary" && counts.waiting <= 0 && movedOf(counts) >= settings.canary;

/** Why it has to stop itself; undefined: it may go on. With nothing left to move there is nothing to stop. */
function stopSays(redrive: RedriveDocument, standing: RedriveStanding): string | undefined {
  const { brake, brakeSample, ordered } = redrive.settings;
  const { counts, causes } = standing;
  if (counts.left === 0) return undefined;
  if (ordered && Object.values(causes).some(({ failed }) => failed > 0))
    return "one has failed again, and they are to run in order";
  if (brake === 100) return undefined;
  const says = brakeSays(causes, brake, brakeSample);
  return says ?? (canaryIsOut(redrive, standing) ? canarySays(causes, brake) : undefined);
}
