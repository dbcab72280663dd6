import { count, counted } from "../../core/counting.js";
import { printable } from "../../core/printable.js";
import { type RedriveInfo, type RedrivePlan, type RunResult } from "../../deadletter/index.js";
import { ineligibleSays } from "../../deadletter/redrive/reasons.js";
import { type Column, table } from "../table.js";
import { wrapped } from "../terminal.js";
import { dateAndDistance, span } from "../times.js";

type Ineligibles = RunResult["ineligible"];

/** "   12 for a human to decide on each (--needs-human)" */
export function ineligibleLines(ineligible: Ineligibles): string[] {
  const entries = Object.entries(ineligible) as [keyof typeof ineligibleSays, number][];
  return entries.map(([why, tasks]) => `  ${count(tasks)} ${ineligibleSays[why] ?? printable(why)}`);
}

/** The first of them by name. */
export function refusedLines(refused: RunResult["refused"]): string[] {
  if (refused.length === 0) return [];
  const rows = refused.slice(0, 20);
  const cells: Column<(typeof rows)[number]>[] = [
    { head: "QUEUE", cell: ({ queue }) => queue, min: 8 },
    { head: "ID", cell: ({ id }) => id },
    { head: "WHY", cell: ({ why, holder }) => (holder === undefined ? why : `${why}: ${holder}`), min: 12 },
  ];
  return ["", ...table(cells, rows)];
}

export function planLines(plan: RedrivePlan, nowMs: number): string[] {
  const lines = [`${count(plan.tasks)} of ${count(plan.scanned)} dead letters that were looked at would run again`];
  if (plan.oldestAtMs !== undefined) lines.push(`  the oldest is of ${dateAndDistance(plan.oldestAtMs, nowMs)}`);
  if (plan.tasks > 0) lines.push(`  moving them takes ${span(plan.estimateMs)} at the least`);
  const rest = Object.values(plan.ineligible).reduce((sum, n) => sum + n, 0);
  if (rest > 0) lines.push(`${count(rest)} would not:`, ...ineligibleLines(plan.ineligible));
  if (plan.causes.length > 0) {
    lines.push(
      "",
      ...table(
        [
          { head: "CAUSE", cell: ({ fingerprint }: RedrivePlan["causes"][number]) => fingerprint || "unknown" },
          { head: "TYPE", cell: ({ type }) => type, min: 10 },
          { head: "TASKS", cell: ({ tasks }) => count(tasks), align: "right" },
        ],
        plan.causes,
      ),
    );
  }
  return [...lines, ...refusedLines(plan.refused)];
}

const phases: Readonly<Record<RedriveInfo["phase"], string>> = {
  choosing: "choosing its tasks",
  canary: "trying the first",
  moving: "moving",
  watching: "waiting for those that run",
  ending: "ending",
  ended: "over",
};

/** "running, moving" or "stopped itself" in a word or two. */
function stateText({ status, phase, isDriven }: RedriveInfo): string {
  if (status === "done" || status === "cancelled") return phase === "ended" ? status : `${status}, ending`;
  if (status === "braked") return "stopped itself";
  return status === "paused" ? "paused" : `${phases[phase]}${isDriven ? "" : " (nobody drives it)"}`;
}

/** One line that fits a terminal. */
export function progressText(redrive: RedriveInfo): string {
  const { counts, estimateMs } = redrive;
  const failed = counts.failedSame + counts.failedOther;
  const words = [
    `${count(counts.left)} left`,
    `${count(counts.waiting)} running`,
    `${count(counts.succeeded)} succeeded`,
    `${count(failed)} failed again`,
  ];
  return `${stateText(redrive)}: ${words.join(", ")}${counts.left > 0 ? `; ${span(estimateMs)} at the least` : ""}`;
}

export function redriveLines(redrive: RedriveInfo, nowMs: number): string[] {
  const { id, counts, selection, settings, by, says, skipped } = redrive;
  const of = typeof selection === "string" ? selection : `${counted(selection.ids.length, "id")} of ${selection.queue}`;
  const rest = Object.values(skipped).reduce((sum, n) => sum + n, 0);
  const rows: [string, string][] = [
    ["redrive", id],
    ["state", `${stateText(redrive)}${says === "" ? "" : `: ${says}`}`],
    ["of", of],
    ["by", `${by.actor}${by.reason === "" ? "" : `: ${by.reason}`}`],
    ["begun", dateAndDistance(redrive.createdAtMs, nowMs)],
    ...(redrive.endedAtMs === undefined
      ? []
      : [["ended", dateAndDistance(redrive.endedAtMs, nowMs)] as [string, string]]),
    ["rate", `${count(settings.rate)}/s, ${counted(settings.attempts, "attempt")} each`],
    ["left", count(counts.left)],
    ["running", `${count(counts.waiting)} moved, and not ended`],
    ["succeeded", count(counts.succeeded)],
    ["failed", `${count(counts.failedSame)} as before, ${count(counts.failedOther)} differently`],
    ...(counts.gone === 0 ? [] : [["gone", `${count(counts.gone)} revoked or deleted`] as [string, string]]),
    ...(counts.notMoved === 0 ? [] : [["not moved", count(counts.notMoved)] as [string, string]]),
    ...(rest === 0 ? [] : [["not eligible", count(rest)] as [string, string]]),
  ];
  const lines = rows.flatMap(([name, text]) => wrapped(text, name.padEnd(14), " ".repeat(14)));
  return [...lines, ...ineligibleLines(skipped).map((line) => `            ${line}`)];
}

export function redriveListLines(redrives: readonly RedriveInfo[], nowMs: number): string[] {
  return table(
    [
      { head: "REDRIVE", cell: ({ id }: RedriveInfo) => id },
      { head: "STATE", cell: stateText, min: 10 },
      { head: "LEFT", cell: ({ counts }) => count(counts.left), align: "right" },
      { head: "OK", cell: ({ counts }) => count(counts.succeeded), align: "right" },
      { head: "AGAIN", cell: ({ counts }) => count(counts.failedSame + counts.failedOther), align: "right" },
      { head: "BEGUN", cell: ({ createdAtMs }) => `${span(Math.max(0, nowMs - createdAtMs))} ago`, min: 6, rank: 1 },
    ],
    redrives,
  );
}

/** What to type next. */
export function nextLines({ id, status, phase, counts }: RedriveInfo): string[] {
  const command = `holdfast dlq redrive`;
  if (phase === "ended") {
    const failed = counts.failedSame + counts.failedOther;
    return failed === 0 ? [] : ["What failed again:", `  ${command} status ${id} --tasks`];
  }
  if (status === "running")
    return [
      "Nobody drives it from here now; holdfast monitor does, or:",
      `  ${command} resume ${id}`,
      "To end it:",
      `  ${command} cancel ${id}`,
    ];
  return ["To go on:", `  ${command} resume ${id}`, "To end it:", `  ${command} cancel ${id}`];
}
