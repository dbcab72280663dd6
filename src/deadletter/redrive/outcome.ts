import { groupOf } from "../../broker/failure-groups.js";
import { otherCauses, type RedriveEnd, type RedriveNote } from "../../broker/redriving.js";
import type { TaskInfo } from "../../core/info.js";
import { storedJson } from "../../core/stored-json.js";
import { bytesBack, seenMs } from "./message.js";

/** What is kept with a task that was moved, until it has ended, and afterwards. */
export interface Mark {
  /** The cause it had failed for. */
  readonly fingerprint: string;
  /** Its own retention, ms. */
  readonly retentionMs: number;
  readonly movedAtMs: number;
  /** Of one that did not end well, or was not moved. */
  readonly why?: string | undefined;
  /** Who holds its unique lock. */
  readonly holder?: string | undefined;
}

export const markText = (mark: Mark): string => JSON.stringify(mark);

/** Anyone may have written there. */
export function markOf(text: string): Mark {
  const { fingerprint, retentionMs, movedAtMs, why, holder } = Object(storedJson(text)) as Record<string, unknown>;
  return {
    fingerprint: typeof fingerprint === "string" ? fingerprint : "",
    retentionMs: typeof retentionMs === "number" && retentionMs >= 0 ? retentionMs : 0,
    movedAtMs: typeof movedAtMs === "number" ? movedAtMs : 0,
    ...(typeof why === "string" ? { why } : {}),
    ...(typeof holder === "string" ? { holder } : {}),
  };
}

/** A task's retention while it is awaited. */
export const retentionToSee = (retentionMs: number) => Math.max(retentionMs, seenMs);

/** First soon, then ever more rarely: many that wait must not be looked at all the time. */
const soonestMs = 250;
const rarestMs = 30_000;

/** Nobody looks any more: later than any look. */
const neverMs = 400 * 86_400_000;
/** All that were not looked at for the last time are to be looked at by then. */
export const anyLookMs = 86_400_000;

/**
 * What became of a task that was moved, as it is to be noted. `last`: nobody will look at it again, so that what has not
 * ended gets its own retention back, too.
 */
export function judged(
  id: string,
  mark: Mark,
  task: TaskInfo | undefined,
  nowMs: number,
  last: boolean,
): { readonly note: RedriveNote; readonly end: RedriveEnd | undefined } {
  const ended = (end: RedriveEnd, why?: string, fix?: RedriveNote["fix"]) => ({
    end,
    note: { id, became: end, mark: markText({ ...mark, why }), cause: mark.fingerprint || otherCauses, fix },
  });
  switch (task?.state) {
    case undefined:
      return ended("gone");
    case "completed": {
      const completedAtMs = task.message?.completedAtMs || nowMs;
      const untilMs = completedAtMs + mark.retentionMs;
      const isLonger = mark.retentionMs < seenMs;
      return ended("succeeded", undefined, isLonger ? { expected: task.bytes, untilMs } : undefined);
    }
    case "archived": {
      const isSame = groupOf(task) === mark.fingerprint;
      const fix =
        task.message === undefined ? undefined : { expected: task.bytes, message: bytesBack(task, mark.retentionMs) };
      return ended(isSame ? "failedSame" : "failedOther", task.failure?.message.slice(0, 200), fix);
    }
    case "pending":
    case "active":
    case "scheduled":
    case "retry":
    case "aggregating": {
      const soMs = Math.min(rarestMs, Math.max(soonestMs, (nowMs - mark.movedAtMs) / 4));
      const lookAtMs = Math.ceil(nowMs + (last ? neverMs : soMs));
      const isLonger = last && task.message !== undefined && mark.retentionMs < seenMs;
      const fix = isLonger ? { expected: task.bytes, message: bytesBack(task, mark.retentionMs) } : undefined;
      return { end: undefined, note: { id, became: "waiting", mark: "", cause: "", lookAtMs, fix } };
    }
  }
}
