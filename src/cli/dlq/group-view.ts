import ansis from "ansis";
import { count } from "../../core/counting.js";
import { printable } from "../../core/printable.js";
import type { FailureGroup, GroupStatus } from "../../deadletter/index.js";
import type { TaskInfo } from "../../index.js";
import { numbers } from "../queue/view.js";
import { type Column, table } from "../table.js";
import { taskListLines } from "../task/columns.js";
import { columns, startOf, wrapped } from "../terminal.js";
import { dateAndDistance, iso, relative } from "../times.js";

/** Groups in columns, each with its error in a line of its own, for that is what one looks for. */
export function groupListLines(groups: readonly FailureGroup[], nowMs: number, width = columns()): string[] {
  const [head = "", ...rows] = table(listColumns(nowMs), groups, width);
  return [
    head,
    ...rows.flatMap((row, n) => {
      const error = errorOf(groups[n]!);
      return error === "" ? [row] : [row, `  ${ansis.yellow(startOf(error, width - 2))}`];
    }),
  ];
}

const listColumns = (nowMs: number): Column<FailureGroup>[] => [
  { head: "FINGERPRINT", cell: ({ fingerprint }) => fingerprint },
  { head: "STATUS", cell: ({ status }) => status, style: (text, { status }) => toned(status, text) },
  numbers("DEAD", ({ count: dead }) => dead),
  { head: "1H", cell: trend, align: "right" },
  { head: "SEEN", cell: ({ lastSeenAtMs }) => relative(lastSeenAtMs, nowMs) },
  { head: "TYPE", cell: ({ types }) => several(types), min: 8 },
  { head: "QUEUE", cell: ({ queues }) => several(queues.map(({ name }) => name)), min: 6, rank: 1 },
];

/** What died within the hour, and whether that is more than in the hour before. */
export const trend = ({ lastHour, hourBefore }: Pick<FailureGroup, "lastHour" | "hourBefore">): string =>
  `${count(lastHour)}${lastHour > hourBefore ? " ↑" : lastHour < hourBefore ? " ↓" : ""}`;

const several = (names: readonly string[]) =>
  names.length > 1 ? `${names[0]} +${names.length - 1}` : (names[0] ?? "");
const errorOf = ({ sample }: FailureGroup) =>
  sample === undefined ? "" : [sample.class, firstLine(sample.message)].filter((part) => part !== "").join(": ");
const firstLine = (text: string) => text.split(/\r?\n/, 1)[0] ?? "";

function toned(status: GroupStatus, text: string): string {
  if (status === "regressed") return ansis.red(text);
  return status === "open" ? ansis.yellow(text) : ansis.dim(text);
}

/** One group in full: what is known, what people said, and some of its dead letters. */
export function groupLines(group: FailureGroup, tasks: readonly TaskInfo[], nowMs: number): string[] {
  const { state, sample, status } = group;
  const when = (ms: number | undefined) => (ms === undefined || ms === 0 ? undefined : dateAndDistance(ms, nowMs));
  const pairs: readonly (readonly [string, string | undefined])[] = [
    ["status", `${status}${setBy(group, nowMs)}`],
    ["dead", group.count === 0 ? "none any more" : `${count(group.count)} in ${inQueues(group)}`],
    ["last hour", `${count(group.lastHour)}, ${count(group.hourBefore)} in the hour before`],
    ["first seen", when(group.firstSeenAtMs)],
    ["last seen", when(group.lastSeenAtMs)],
    ["oldest", when(group.oldestAtMs)],
    ["types", listed(group.types)],
    ["reasons", listed(group.reasons)],
    ["builds", listed(group.builds)],
  ];
  const lines = [ansis.bold(group.fingerprint)];
  for (const [name, value] of pairs)
    if (value !== undefined) lines.push(`  ${ansis.dim(name.padEnd(10))}  ${startOf(value, columns() - 14)}`);
  if (sample !== undefined) {
    lines.push("", ansis.yellow(`The last one  ${printable(sample.class)}`), ...indented(sample.message));
  }
  for (const { atMs, actor, cause, fix, lesson } of state.resolutions) {
    lines.push("", `${ansis.bold("Resolved")}  ${said(atMs, actor, nowMs)}`, ...indented(cause, "cause   "));
    if (fix !== undefined) lines.push(...indented(fix, "fix     "));
    if (lesson !== undefined) lines.push(...indented(lesson, "lesson  "));
  }
  for (const { atMs, actor, text } of state.notes) {
    lines.push("", `${ansis.bold("Note")}  ${said(atMs, actor, nowMs)}`, ...indented(text));
  }
  if (tasks.length > 0) {
    lines.push("", ansis.bold(tasks.length < group.count ? `The last ${tasks.length}` : "Dead letters"));
    lines.push(
      ...taskListLines(tasks, "archived", nowMs, {
        queues: group.queues.length > 1,
        told: sample && firstLine(sample.message),
      }),
    );
  }
  lines.push("", ansis.bold("Next"), ...next(group).map((line) => `  ${ansis.cyan(line)}`));
  return lines;
}

const listed = (names: readonly string[]) => (names.length === 0 ? undefined : names.join(", "));
const said = (atMs: number, actor: string, nowMs: number) =>
  ansis.dim(startOf(`${relative(atMs, nowMs)} by ${actor}`, columns() - 12));
const indented = (text: string, before = "") =>
  text
    .split(/\r?\n/)
    .slice(0, 20)
    .flatMap((line, n) =>
      wrapped(line, `  ${n === 0 ? before : " ".repeat(before.length)}`, "  ".padEnd(2 + before.length)),
    );

function inQueues({ queues }: FailureGroup): string {
  if (queues.length === 1) return queues[0]!.name;
  return queues.map(({ name, count: dead }) => `${name} (${count(dead)})`).join(", ");
}

function setBy({ status, state }: FailureGroup, nowMs: number): string {
  if (status === "regressed") return `: it was resolved ${relative(state.setAtMs, nowMs)}, and is seen again`;
  if (status === "snoozed" && state.untilMs !== undefined) return `, for ${relative(state.untilMs, nowMs).slice(3)}`;
  return status === "open" ? "" : `, ${relative(state.setAtMs, nowMs)} by ${state.setBy}`;
}

function next({ fingerprint, status, count: dead }: FailureGroup): string[] {
  const lines: string[] = [];
  if (dead > 0) lines.push(`holdfast dlq search fp:${fingerprint}`);
  if (status === "open" || status === "regressed") lines.push(`holdfast dlq ack ${fingerprint}`);
  if (status !== "resolved") lines.push(`holdfast dlq resolve ${fingerprint} --cause '…' --fix '…' --lesson '…'`);
  else lines.push(`holdfast dlq reopen ${fingerprint}`);
  return lines;
}

export function groupJson(group: FailureGroup) {
  const { firstSeenAtMs, lastSeenAtMs, oldestAtMs, state, sample, ...rest } = group;
  const told = <T extends { readonly atMs: number }>({ atMs, ...other }: T) => ({ at: iso(atMs), ...other });
  return {
    ...rest,
    firstSeenAt: iso(firstSeenAtMs),
    lastSeenAt: iso(lastSeenAtMs),
    oldestAt: iso(oldestAtMs),
    sample: sample ?? null,
    setBy: state.setAtMs === 0 ? null : state.setBy,
    setAt: state.setAtMs === 0 ? null : iso(state.setAtMs),
    snoozedUntil: iso(state.untilMs),
    notes: state.notes.map(told),
    resolutions: state.resolutions.map(told),
  };
}
