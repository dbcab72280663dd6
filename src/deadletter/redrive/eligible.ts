import type { TaskInfo } from "../../core/info.js";
import { sideEffectsHeader } from "../../core/names.js";
import { isQuarantined } from "../quarantine.js";
import type { RunSettings } from "./options.js";
import type { Ineligible } from "./reasons.js";

/** What its message and its failure say; undefined: nothing against it. */
export function ineligible(
  task: TaskInfo,
  { needsHuman }: Pick<RunSettings, "needsHuman">,
  nowMs: number,
): Ineligible | undefined {
  const { message } = task;
  if (message === undefined) return "undecodable";
  if (isQuarantined(task)) return "quarantined";
  if (message.headers[sideEffectsHeader] === "needs-human" && !needsHuman) return "needsHuman";
  if (task.acknowledged !== undefined) return "acknowledged";
  if (message.deadlineMs > 0 && message.deadlineMs <= nowMs) return "deadline";
  return undefined;
}
