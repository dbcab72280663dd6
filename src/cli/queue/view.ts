import ansis from "ansis";
import { count } from "../../core/counting.js";
import type { DayStats } from "../../core/info.js";
import { printable } from "../../core/printable.js";
import { type TaskState, taskStates } from "../../core/state.js";
import type { QueueInfo } from "../../index.js";
import { type Column, table } from "../table.js";
import { shortCount, size, wrapped } from "../terminal.js";
import { dateAndDistance, relative, span } from "../times.js";
import { errorRate, taskCount } from "./figures.js";

/** A column of numbers: in full where there is room, else "12k". */
export function numbers<R>(head: string, value: (row: R) => number, rank?: number, alarming = false): Column<R> {
  return {
    head,
    cell: (row) => count(value(row)),
    short: (row) => shortCount(value(row)),
    align: "right",
    ...(rank === undefined ? {} : { rank }),
    ...(alarming ? { style: (text: string, row: R) => (value(row) > 0 ? ansis.yellow(text) : text) } : {}),
  };
}

/** How long the next task to run has been waiting. */
export const waitOf = ({ latencyMs }: QueueInfo): string => (latencyMs === 0 ? "" : span(latencyMs));

interface ListedQueue {
  readonly queue: QueueInfo;
  readonly bytes: number;
}

export function queueListLines(queues: readonly QueueInfo[], memory: readonly number[], nowMs: number): string[] {
  const columns: readonly Column<ListedQueue>[] = [
    { head: "QUEUE", cell: ({ queue }) => queue.name, min: 12 },
    numbers("TASKS", ({ queue }) => taskCount(queue)),
    { head: "WAIT", cell: ({ queue }) => waitOf(queue), align: "right", rank: 1 },
    { head: "MEMORY", cell: ({ bytes }) => size(bytes), align: "right", rank: 2 },
    numbers("PROCESSED", ({ queue }) => queue.processed, 3),
    numbers("FAILED", ({ queue }) => queue.failed, 3),
    { head: "", cell: ({ queue }) => pauseNote(queue, nowMs), min: 6, style: (text) => ansis.yellow(text) },
  ];
  return table(
    columns,
    queues.map((queue, i) => ({ queue, bytes: memory[i]! })),
  );
}

function pauseNote({ paused, pause }: QueueInfo, nowMs: number): string {
  if (!paused) return "";
  if (pause === undefined) return "paused";
  const why = pause.reason === undefined ? "" : `: ${pause.reason}`;
  return `paused ${relative(pause.atMs, nowMs)}${why}`;
}

/** What the earliest time of a state means. */
const earliest: Record<TaskState, string> = {
  pending: "the first came",
  active: "the first lease ends",
  scheduled: "the next is due",
  retry: "the next is due",
  archived: "the oldest died",
  completed: "the next expires",
  aggregating: "the first came",
};

export function queueLines(queue: QueueInfo, memoryBytes: number, nowMs: number): string[] {
  const { counts, earliestAtMs = {} } = queue;
  const width = Math.max(...taskStates.map((state) => count(counts[state]).length));
  const states = taskStates.map((state) => {
    const atMs = earliestAtMs[state];
    const when = atMs === undefined ? "" : `   ${earliest[state]} ${relative(atMs, nowMs)}`;
    return `  ${state.padEnd(12)}${count(counts[state]).padStart(width)}${ansis.dim(when)}`;
  });
  const totals =
    `${count(taskCount(queue))} tasks, about ${size(memoryBytes)}; ` +
    `${count(queue.processed)} processed in all, ${count(queue.failed)} of them failed`;
  return [ansis.bold(printable(queue.name)), ...wrapped(totals, "  ", "    "), ...pauseLines(queue, nowMs), ...states];
}

function pauseLines({ paused, pause }: QueueInfo, nowMs: number): string[] {
  if (!paused) return [];
  const since = pause === undefined ? "" : ` since ${dateAndDistance(pause.atMs, nowMs)}`;
  const who = pause?.actor === undefined ? "" : ` by ${pause.actor}`;
  const why = pause?.reason === undefined ? "" : `: ${pause.reason}`;
  return wrapped(`paused${since}${who}${why}`, "  ", "    ").map((line) => ansis.yellow(line));
}

export function historyLines(days: readonly DayStats[]): string[] {
  const columns: readonly Column<DayStats>[] = [
    { head: "  DAY (UTC)", cell: ({ day }) => `  ${day}` },
    numbers("PROCESSED", ({ processed }) => processed),
    numbers("FAILED", ({ failed }) => failed),
    { head: "ERRORS", cell: ({ processed, failed }) => errorRate(processed, failed), align: "right" },
  ];
  return table(columns, days);
}
