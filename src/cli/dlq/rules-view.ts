import ansis from "ansis";
import type { Rule, RuleAction, RulePreview } from "../../deadletter/index.js";
import { ineligibleSays } from "../../deadletter/redrive/reasons.js";
import { count } from "../../core/counting.js";
import { shellWord } from "../../core/shell-word.js";
import { type Column, table } from "../table.js";
import { columns, startOf, wrapped } from "../terminal.js";
import { dateAndDistance, iso, relative, span } from "../times.js";

/** Two lines a rule: what it is and did, and what it is for. */
export function rulesLines(rules: readonly Rule[], nowMs: number): string[] {
  const [head = "", ...rows] = table(ruleColumns(nowMs), rules);
  return [head, ...rows.flatMap((row, n) => [row, `  ${ansis.dim(startOf(rules[n]!.search, columns() - 2))}`])];
}

const ruleColumns = (nowMs: number): Column<Rule>[] => [
  { head: "RULE", cell: ({ name }) => name, min: 10 },
  { head: "IS", cell: ({ status }) => status, style: (text, { status }) => statusColour(status)(text) },
  { head: "DOES", cell: ({ action }) => actionWords(action), min: 8 },
  { head: "DID", cell: ({ acted }) => count(acted), align: "right" },
  { head: "WOULD", cell: ({ would }) => count(would), align: "right" },
  { head: "LAST HIT", cell: ({ lastHitAtMs }) => (lastHitAtMs === undefined ? "-" : relative(lastHitAtMs, nowMs)) },
  { head: "EXPIRES", cell: ({ expiresAtMs }) => relative(expiresAtMs, nowMs) },
  { head: "OWNER", cell: ({ owner }) => owner, min: 6, rank: 1 },
];

const statusColour = (status: Rule["status"]) => {
  if (status === "live") return ansis.green;
  return status === "expired" || status === "unreadable" ? ansis.yellow : ansis.dim;
};

function actionWords(action: RuleAction): string {
  if (action.do === "route") return `route to ${action.queue}`;
  return action.do;
}

export function ruleLines(rule: Rule, nowMs: number): string[] {
  const { name, status, search, action, afterMs, perMinute, cap, owner, reason } = rule;
  const keep = action.do === "discard" ? `, can be restored for ${span(action.keepMs)}` : "";
  const attempts = action.do !== "discard" && action.attempts > 1 ? `, ${action.attempts} attempts` : "";
  const pairs: readonly (readonly [string, string])[] = [
    ["is", status],
    ["for", search],
    ["does", `${actionWords(action)}${attempts}${keep}`],
    [
      "when",
      `${span(afterMs)} after death; ${count(perMinute)} a minute at the most; not what was run again ${cap} times`,
    ],
    ["did", `${count(rule.acted)}; in shadow it would have done ${count(rule.would)}`],
    ...(Object.keys(rule.left).length === 0 ? [] : [["left", leftWords(rule.left)] as const]),
    ["last hit", rule.lastHitAtMs === undefined ? "none yet" : dateAndDistance(rule.lastHitAtMs, nowMs)],
    ["expires", dateAndDistance(rule.expiresAtMs, nowMs)],
    ["owner", owner],
    ["added", `${dateAndDistance(rule.createdAtMs, nowMs)} by ${rule.createdBy}`],
    ...(reason === "" ? [] : [["why", reason] as const]),
  ];
  const lines = pairs.flatMap(([what, text]) => wrapped(text, `  ${what.padEnd(9)} `, " ".repeat(12)));
  return [ansis.bold(name), ...lines];
}

const says: Readonly<Record<string, string>> = { ...ineligibleSays, routed: "routed by a rule before" };
const leftWords = (left: Readonly<Record<string, number>>) =>
  Object.entries(left)
    .map(([why, n]) => `${count(n)} ${(says[why] ?? why).replace(/ \(--[a-z-]+\)$/, "")}`)
    .join("; ");

export function previewLines(preview: RulePreview): string[] {
  const { looked, matched, would, left, earlier, types, queues, samples } = preview;
  const lines = [
    `Of the last ${count(looked)} dead letters it matches ${count(matched)}, and would take ${ansis.bold(count(would))}.`,
  ];
  const part = (what: string, text: string) => {
    if (text !== "") lines.push(...wrapped(text, `  ${what.padEnd(9)} `, " ".repeat(12)));
  };
  const counted = (record: Readonly<Record<string, number>>) =>
    Object.entries(record)
      .toSorted(([, a], [, b]) => b - a)
      .slice(0, 8)
      .map(([name, n]) => `${name} ${count(n)}`)
      .join(", ");
  part("types", counted(types));
  part("queues", counted(queues));
  part("left", leftWords(left));
  part("earlier", counted(earlier) === "" ? "" : `rules before it have them: ${counted(earlier)}`);
  for (const { queue, id } of samples.slice(0, 2)) part("such as", `${queue} ${id}`);
  return lines;
}

export function ruleJson(rule: Rule) {
  const { lastHitAtMs, expiresAtMs, sinceMs, createdAtMs, ...rest } = rule;
  return {
    ...rest,
    lastHitAt: iso(lastHitAtMs),
    expiresAt: iso(expiresAtMs),
    since: iso(sinceMs),
    createdAt: iso(createdAtMs),
  };
}

/** What to do next with a rule that was just added or changed. */
export function nextLines({ name, status }: Rule): string[] {
  const word = shellWord(name);
  const lines = ["`holdfast monitor` carries rules out, or a `ruleEvaluator` in a program."];
  if (status === "shadow")
    lines.push(
      "It only counts what it would do. Look, then let it:",
      `  holdfast dlq rules show ${word}`,
      `  holdfast dlq rules enable ${word}`,
    );
  if (status === "live") lines.push("To stop it:", `  holdfast dlq rules disable ${word}`);
  return lines;
}
