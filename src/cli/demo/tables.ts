import ansis from "ansis";
import { count } from "../../core/counting.js";
import { groupedBy } from "../../core/grouped-by.js";
import type { calledAs } from "../env.js";
import { type Column, table } from "../table.js";
import { columns, endOf, seconds, size, wrapped } from "../terminal.js";
import { actLines } from "./dead-letter-act.js";
import type { DeadLetter, DemoReport, QueueTotals } from "./demo-report.js";

/** The report for people, as wide as their terminal; what matters most comes last, where the screen ends. */
export function printedReport(report: DemoReport, called: ReturnType<typeof calledAs>): string {
  const sections = [
    deadLetters(report.deadLetters),
    afterwards(report),
    queueTable(report.queues),
    summary(report),
    next(called),
  ];
  return sections.filter((section) => section !== "").join("\n\n");
}

function summary(report: DemoReport): string {
  const { tasks, deadLetters: dead, first90PercentMs } = report;
  const retries = report.queues.reduce((sum, queue) => sum + queue.retries, 0);
  const done = count(report.queues.reduce((sum, queue) => sum + queue.completed, 0));
  // With few files the waiting outweighs the work: then a rate says nothing.
  const mostlyDone =
    first90PercentMs < report.workMs / 2
      ? `; 90% were done after ${seconds(first90PercentMs)} (${rate(tasks * 0.9, first90PercentMs)}), the rest waited for a retry or its time.`
      : "; the last ones waited for a retry or their time.";
  const details = [
    `A task for each of ${count(report.filesFound)} files, others for the demo's bad files and reports.`,
    `${count(retries)} retries, ${count(report.delayedTasks)} delayed tasks, ` +
      `${count(report.duplicatesRefused)} duplicates refused. Enqueued in ${seconds(report.enqueueMs)}${mostlyDone}`,
  ];
  if (report.lostTasks > 0)
    details.unshift(`${count(report.lostTasks)} tasks are gone: storage does not know them any more.`);
  if (report.stoppedAtFileLimit) details.push("There are more files than the demo takes: the rest was left out.");
  for (const folder of report.unreadableFolders) {
    details.push(`A folder that cannot be read was left out: ${folder}`);
  }
  const headline = `${done} of ${count(tasks)} tasks completed, ${count(dead.length)} dead letters, in ${seconds(report.workMs)}.`;
  return [...wrapped(headline).map((line) => ansis.bold.green(line)), ...details.flatMap((line) => wrapped(line))].join(
    "\n",
  );
}

const rate = (tasks: number, ms: number) => `${count(tasks / (Math.max(1, ms) / 1_000))} tasks/s`;

const tableColumns: readonly Column<QueueTotals>[] = [
  { head: "queue", cell: ({ name }) => name },
  { head: "weight", cell: ({ weight }) => (weight === 0 ? "" : count(weight)), align: "right", rank: 4 },
  { head: "tasks", cell: ({ tasks }) => count(tasks), align: "right" },
  { head: "done", cell: ({ completed }) => count(completed), align: "right", rank: 1 },
  { head: "dead", cell: ({ deadLetters: dead }) => count(dead), align: "right" },
  { head: "retries", cell: ({ retries }) => count(retries), align: "right", rank: 4 },
  { head: "size", cell: ({ bytes }) => size(bytes), align: "right", rank: 2 },
  { head: "lines", cell: ({ lines }) => count(lines), align: "right", rank: 3 },
  {
    head: "gzip",
    cell: ({ bytes, gzipBytes }) => (bytes === 0 ? "" : `${Math.round((gzipBytes / bytes) * 100)}%`),
    align: "right",
    rank: 4,
  },
];

function queueTable(queues: readonly QueueTotals[]): string {
  return table(tableColumns, [...queues, queues.reduce(added)]).join("\n");
}

const added = (a: QueueTotals, b: QueueTotals): QueueTotals => ({
  name: "all",
  weight: 0,
  tasks: a.tasks + b.tasks,
  completed: a.completed + b.completed,
  deadLetters: a.deadLetters + b.deadLetters,
  retries: a.retries + b.retries,
  bytes: a.bytes + b.bytes,
  lines: a.lines + b.lines,
  gzipBytes: a.gzipBytes + b.gzipBytes,
});

const namesPerCause = 5;

/** One block per cause, the most frequent first. */
function deadLetters(letters: readonly DeadLetter[]): string {
  if (letters.length === 0) return "";
  const blocks = byCause(letters).flatMap((alike) => {
    const { reason, message, attempts } = alike[0]!;
    const tries = attempts === 1 ? "" : ` after ${attempts} attempts`;
    const cause = wrapped(`${count(alike.length)} × ${message} [${reason}${tries}]`, "  ", "    ");
    const names = alike.slice(0, namesPerCause).map(({ path }) => `      ${endOf(path, columns() - 6)}`);
    if (alike.length > namesPerCause) names.push(`      and ${count(alike.length - namesPerCause)} more`);
    return [...cause.map((line) => ansis.yellow(line)), ...names];
  });
  return [ansis.bold("Dead letters, by cause"), ...blocks].join("\n");
}

function afterwards({ afterwards: act }: DemoReport): string {
  if (act === null) return "";
  return [ansis.bold("What was done about them"), ...actLines(act).flatMap((line) => wrapped(line, "  ", "    "))].join(
    "\n",
  );
}

function byCause(letters: readonly DeadLetter[]): DeadLetter[][] {
  const groups = groupedBy(letters, ({ reason, message, attempts }) => JSON.stringify([reason, message, attempts]));
  return [...groups.values()].toSorted((a, b) => b.length - a.length);
}

function next({ demo, demoAlone }: ReturnType<typeof calledAs>): string {
  const commands = [
    [`${demo} ~/some/folder`, "your own files"],
    [`${demo} --url redis://localhost:6379`, "the same work on Redis"],
    [`${demoAlone} --json`, "each file and its numbers"],
    ["npx holdfast dlq --help", "dead letters, operated"],
    ["README.md", "twenty lines of your own"],
  ] as const;
  const width = Math.max(...commands.map(([command]) => command.length));
  const roomy = columns() >= width + 29;
  const lines = commands.flatMap(([command, says]) =>
    roomy ? [`  ${ansis.cyan(command.padEnd(width))}  ${says}`] : [`  ${says}:`, `    ${ansis.cyan(command)}`],
  );
  return [ansis.bold("Next"), ...lines].join("\n");
}
