import ansis from "ansis";
import type { TaskInfo } from "../../index.js";
import { counted } from "../../core/counting.js";
import type { Mark } from "../../core/info.js";
import { copiedFrom } from "../../core/lineage.js";
import { printable } from "../../core/printable.js";
import { shellWord } from "../../core/shell-word.js";
import type { TaskState } from "../../core/state.js";
import { payloadLines } from "../payload-view.js";
import { columns, startOf } from "../terminal.js";
import { failureLines } from "./failures.js";
import { dateAndDistance, relative, span } from "../times.js";
import { commandLines } from "../command-lines.js";

/** So much of a payload is shown with its task; `task payload` prints all of it. */
const mostBytes = 65_536;
const mostLines = 60;

/** One task in full, for people. */
export function taskLines(task: TaskInfo, nowMs: number): string[] {
  const { message, result } = task;
  const lines = [ansis.bold(printable(task.id)), ...fields(task, nowMs)];
  lines.push(...failureLines(task, nowMs));
  if (message === undefined) lines.push(...bytesSection("Stored, and cannot be decoded", task.bytes, task));
  else lines.push(...bytesSection("Payload", message.payload, task));
  if (result !== undefined) lines.push(...bytesSection("Result", result, task));
  const hints = next(task);
  if (hints.length > 0)
    lines.push(
      "",
      ansis.bold("Next"),
      ...hints
        .flatMap((hint) => commandLines(hint.includes("'") ? [hint] : hint.split(" ")))
        .map((line) => ansis.cyan(line)),
    );
  return lines;
}

function fields(task: TaskInfo, nowMs: number): string[] {
  const { message } = task;
  const of = message && copiedFrom(message);
  const date = (ms: number | undefined) => (ms === undefined || ms === 0 ? undefined : dateAndDistance(ms, nowMs));
  const length = (ms: number | undefined) => (ms === undefined || ms === 0 ? undefined : span(ms));
  const pairs: readonly (readonly [string, string | undefined])[] = [
    ["queue", task.queue],
    ["state", task.state],
    ["type", message?.type ?? "(unreadable)"],
    [dueWord[task.state] ?? "due", date(task.dueAtMs)],
    ["enqueued", task.enqueuedAtMs === undefined ? "unknown: its id does not tell" : date(task.enqueuedAtMs)],
    ["died", date(task.archivedAtMs)],
    ["archived by", task.state === "archived" ? task.failure?.actor : undefined],
    ["completed", date(message?.completedAtMs)],
    ["failed", message === undefined ? undefined : `${message.retried} of ${message.maxRetry} times that are allowed`],
    ["last failed", date(message?.lastFailedAtMs)],
    ["crashes", task.crashes === 0 ? undefined : `${task.crashes}: its worker died while it ran`],
    ["timeout", length(message?.timeoutMs)],
    ["deadline", date(message?.deadlineMs)],
    ["retention", length(message?.retentionMs)],
    ["group", message?.group === "" ? undefined : message?.group],
    ["unique", message?.uniqueKey === "" ? undefined : message?.uniqueKey],
    ["trace", task.traceId],
    ...Object.entries(message?.headers ?? {}).map(([name, value]) => ["header", `${name}: ${value}`] as const),
    ["progress", task.progress === undefined ? undefined : JSON.stringify(task.progress)],
    ["copy of", of && `${of.queue} ${of.id}`],
    ...(task.copies ?? []).map((copy) => ["copied as", `${copy.queue} ${copy.id}, ${markOf(copy, nowMs)}`] as const),
    ["quarantined", task.quarantined && markOf(task.quarantined, nowMs)],
    ["acknowledged", task.acknowledged && markOf(task.acknowledged, nowMs)],
    ["restored", task.restored && markOf(task.restored, nowMs)],
  ];
  return pairs.flatMap(([name, value]) =>
    value === undefined ? [] : [`  ${ansis.dim(name.padEnd(12))}  ${startOf(value, columns() - 16)}`],
  );
}

/** "2 h ago by ann@web-1: refunded" */
const markOf = ({ atMs, actor, reason }: Mark, nowMs: number) =>
  `${relative(atMs, nowMs)} by ${actor}${reason === "" ? "" : `: ${reason}`}`;

const dueWord: Partial<Record<TaskState, string>> = { scheduled: "runs", retry: "runs", completed: "expires" };

function bytesSection(title: string, bytes: Uint8Array, task: TaskInfo): string[] {
  const size = counted(bytes.length, "byte");
  if (bytes.length === 0) return ["", `${ansis.bold(title)}  none`];
  const all = payloadLines(bytes.length > mostBytes ? wholeCharacters(bytes.subarray(0, mostBytes)) : bytes);
  const lines = all.slice(0, mostLines).flatMap((line) => `  ${startOf(line, columns() - 2)}`);
  if (bytes.length > mostBytes || all.length > mostLines) {
    lines.push(ansis.dim(`  … all of it: holdfast task payload ${words(task)}`));
  }
  return ["", `${ansis.bold(title)}  ${size}`, ...lines];
}

/** Without the half of a character that a cut may leave at the end. */
function wholeCharacters(bytes: Uint8Array): Uint8Array {
  let end = bytes.length;
  while (end > bytes.length - 3 && (bytes[end - 1]! & 0xc0) === 0x80) end -= 1;
  return (bytes[end - 1]! & 0xc0) === 0xc0 ? bytes.subarray(0, end - 1) : bytes;
}

const words = ({ queue, id }: TaskInfo) => `${shellWord(queue)} ${shellWord(id)}`;

/** What one may want to do with a task in this state. */
function next(task: TaskInfo): string[] {
  switch (task.state) {
    case "archived":
      return [
        `holdfast task run ${words(task)}`,
        `holdfast dlq edit ${words(task)}`,
        `holdfast dlq discard ${words(task)} --reason …`,
      ];
    case "scheduled":
    case "retry":
      return [`holdfast task run ${words(task)}`, `holdfast task delete ${words(task)}`];
    case "active":
      return [`holdfast task cancel ${words(task)}`];
    case "pending":
    case "completed":
    case "aggregating":
      return [];
  }
}
