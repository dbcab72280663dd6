import ansis from "ansis";
import { maxMessageChars } from "../../core/outcome.js";
import { scrub } from "../../core/scrub.js";
import type { TaskInfo } from "../../index.js";
import type { TaskState } from "../../core/state.js";
import { preview } from "../payload-view.js";
import { type Column, table } from "../table.js";
import { columns as terminalColumns, startOf, widthOf } from "../terminal.js";
import { relative } from "../times.js";

/** What one wants to know of tasks in each state, in columns; ids are never cut, for they are there to be copied. */
export function taskListLines(
  tasks: readonly TaskInfo[],
  state: TaskState,
  nowMs: number,
  { width = terminalColumns(), queues = false, told: known = "" }: ListOptions = {},
): string[] {
  const told = columnsOf(state, nowMs).filter(({ cell }) => tasks.some((task) => cell(task) !== ""));
  const columns = [idColumn, ...(queues ? [queueColumn] : []), typeColumn, ...told];
  if (state !== "retry" && state !== "archived") return table(columns, tasks, width);
  const textOf = (task: TaskInfo) => (error.cell(task) === known ? "" : error.cell(task));
  if (tasks.every((task) => textOf(task) === "")) return table(columns, tasks, width);
  const beside = table([...columns, { ...error, cell: textOf }], tasks, Number.POSITIVE_INFINITY);
  if (beside.every((line) => widthOf(ansis.strip(line)) <= width)) return beside;
  // The error is what one looks for: it has a line of its own where it would be cut.
  const [head = "", ...rows] = table(columns, tasks, width);
  const errors = tasks.map((task) => `  ${ansis.yellow(startOf(textOf(task), width - 2))}`);
  return [head, ...rows.flatMap((row, i) => (errors[i]!.trim() === "" ? [row] : [row, errors[i]!]))];
}

interface ListOptions {
  readonly width?: number;
  readonly queues?: boolean;
  /** An error that stands above the list already: not said with each once more. */
  readonly told?: string | undefined;
}

type TaskColumn = Column<TaskInfo>;

const idColumn: TaskColumn = { head: "ID", cell: ({ id }) => id };
const queueColumn: TaskColumn = { head: "QUEUE", cell: ({ queue }) => queue, min: 8 };
const typeColumn: TaskColumn = { head: "TYPE", cell: ({ message }) => message?.type ?? "(unreadable)", min: 10 };

function columnsOf(state: TaskState, nowMs: number): TaskColumn[] {
  const when = (head: string, atMs: (task: TaskInfo) => number | undefined, rank?: number): TaskColumn => ({
    head,
    cell: (task) => {
      const ms = atMs(task);
      return ms === undefined || ms === 0 ? "" : relative(ms, nowMs);
    },
    ...(rank === undefined ? {} : { rank }),
  });
  const due = (head: string) => when(head, ({ dueAtMs }) => dueAtMs);
  switch (state) {
    case "pending":
      return [payload];
    case "active":
      return [crashes, progress, payload];
    case "scheduled":
      return [due("RUNS"), payload];
    case "retry":
      return [tries, due("RUNS")];
    case "archived":
      return [tries, when("DIED", ({ archivedAtMs }) => archivedAtMs)];
    case "completed":
      return [when("DONE", ({ message }) => message?.completedAtMs), due("EXPIRES"), result];
    case "aggregating":
      return [{ head: "GROUP", cell: ({ message }) => message?.group ?? "", min: 8 }, payload];
  }
}

/** So much of a text is enough for a line, wherever it is printed. */
const most = 200;
const cut = (text: string) => (text.length > most ? `${text.slice(0, most)}…` : text);

const payload: TaskColumn = {
  head: "PAYLOAD",
  cell: ({ message }) => (message === undefined ? "" : cut(preview(message.payload))),
  min: 8,
  rank: 2,
};
const result: TaskColumn = {
  head: "RESULT",
  cell: ({ result: bytes }) => (bytes === undefined ? "" : cut(preview(bytes))),
  min: 8,
  rank: 2,
};
/** Failures so far, of those that are allowed. */
const tries: TaskColumn = {
  head: "FAILED",
  cell: ({ message }) => (message === undefined ? "" : `${message.retried}/${message.maxRetry}`),
  align: "right",
  rank: 3,
};
const crashes: TaskColumn = {
  head: "CRASHES",
  cell: (task) => (task.crashes === 0 ? "" : String(task.crashes)),
  align: "right",
  rank: 4,
  style: (text) => ansis.yellow(text),
};
const progress: TaskColumn = {
  head: "PROGRESS",
  cell: (task) => (task.progress === undefined ? "" : cut(JSON.stringify(task.progress))),
  min: 8,
  rank: 3,
};
const error: TaskColumn = {
  head: "ERROR",
  cell: ({ failure, message }) => cut(scrub(failure?.message ?? message?.lastError ?? "", maxMessageChars)),
  min: 10,
  rank: 1,
};
