import { createHash } from "node:crypto";
import { counted } from "../../core/counting.js";
import type { Notification, RelatedAlert } from "../delivery/notification.js";
import { type Alert, type AlertEvent, dedupeKey } from "./alert.js";
import type { FiringAlert, Related } from "./kin.js";
import type { RuleName, RuleSettings, Unit } from "./rule.js";
import { ruleOf } from "./rules.js";
import type { Severity } from "./severity.js";

/** What is in a text beside the alert itself. */
export interface TextContext {
  readonly environment: string;
  readonly runbooks: string | undefined;
  readonly dashboard: string | undefined;
}

const marks: Readonly<Record<AlertEvent | "test", string>> = {
  firing: "FIRING",
  escalated: "WORSE",
  repeated: "STILL FIRING",
  resolved: "RESOLVED",
  test: "TEST",
};

/** What people and programs are told of an alert: no payload, nothing of a task but its type. */
export function notificationOf(
  alert: Alert,
  event: AlertEvent,
  severity: Severity,
  settings: RuleSettings,
  context: TextContext,
  nowMs: number,
  related: Related,
): Notification {
  const rule = ruleOf(alert.rule);
  const sinceMs = alert.firing?.sinceMs ?? alert.resolvedAtMs ?? nowMs;
  const threshold = settings.thresholds[severity];
  const value = valueText(alert.value, rule.unit);
  const isOver = event === "resolved";
  const over = rule.over?.(alert.labels) ?? `Over: ${rule.says} (${placeOf(alert)})`;
  const title = oneLine(isOver ? over : rule.title(alert.labels, value), 200);
  const firstAction = oneLine(rule.first(alert.labels), 200);
  const runbook = runbookOf(alert.rule, context.runbooks);
  const bound = threshold === undefined ? "" : `; ${severity} is ${rule.bad} ${valueText(threshold, rule.unit)}`;
  const lines = [
    `${marks[event]} [${severity}] ${title}`,
    `Where: ${context.environment}, ${placeOf(alert)}`,
    // What an alert that is over was of may be gone: how bad it is now is not known.
    ...(isOver
      ? [`Lasted: ${durationText((nowMs - sinceMs) / 1_000)}, from ${iso(sinceMs)} to ${iso(nowMs)}`]
      : [
          `Since: ${iso(sinceMs)} (${durationText((nowMs - sinceMs) / 1_000)})`,
          `How bad: ${value}${bound}`,
          `First: ${firstAction}`,
        ]),
    ...relatedLine(related, isOver),
    `Runbook: ${runbook}`,
    ...(context.dashboard === undefined ? [] : [`Dashboard: ${context.dashboard}`]),
  ];
  const key = dedupeKey(context.environment, alert.rule, alert.labels);
  return {
    version: 1,
    id: idOf(key, event, nowMs),
    key,
    event,
    environment: context.environment,
    rule: alert.rule,
    severity,
    labels: alert.labels,
    // What an older version began to tell has none.
    cause: alert.firing?.cause?.key ?? key,
    related: related.alerts.map((one) => relatedOf(one, context.environment)),
    title,
    text: lines.join("\n"),
    since: iso(sinceMs),
    at: iso(nowMs),
    value: alert.value,
    threshold: threshold ?? null,
    firstAction,
    runbook,
    dashboard: context.dashboard ?? null,
  };
}

const relatedLine = ({ alerts, more }: Related, isOver: boolean) => {
  const told = alerts.map((one) => `${one.rule} (${one.firing.severity}, ${placeOf(one)})`).join("; ");
  return told === "" ? [] : [`${isOver ? "Still" : "Also"} firing: ${told}${more ? "; and more" : ""}`];
};

function relatedOf({ rule, labels, firing }: FiringAlert, environment: string): RelatedAlert {
  const key = dedupeKey(environment, rule, labels);
  const { severity, sinceMs, cause } = firing;
  return { key, cause: cause?.key ?? key, rule, severity, labels, since: iso(sinceMs) };
}

const idOf = (key: string, event: string, nowMs: number) =>
  `msg_${createHash("sha256").update(`${key} ${event} ${nowMs}`).digest("hex").slice(0, 32)}`;

export function runbookOf(rule: RuleName, runbooks: string | undefined): string {
  return `${runbooks ?? "docs/operate/alerts"}/${rule}.md`;
}

const placeOf = ({ labels }: Alert) =>
  Object.entries(labels)
    .map(([name, value]) => `${name} ${oneLine(value, 128)}`)
    .join(", ") || "storage";

/** Names come from anywhere: none may break a line, or steer what shows it. */
// oxlint-disable-next-line no-control-regex
const unsafe = /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g;
const oneLine = (text: string, max: number) => text.toWellFormed().replaceAll(unsafe, "\ufffd").slice(0, max);

const iso = (ms: number) => new Date(ms).toISOString();

/** "12,345 tasks", "1 dead letter", "26 h", "12 %". */
export function valueText(value: number, unit: Unit): string {
  switch (unit) {
    case "tasks":
      return counted(value, "task");
    case "letters":
      return counted(value, "dead letter");
    case "keys":
      return counted(value, "key");
    case "seconds":
      return durationText(value);
    case "ratio":
      return `${Number((value * 100).toFixed(1))} %`;
  }
  return unit satisfies never;
}

function durationText(seconds: number): string {
  const whole = Math.max(0, Math.floor(seconds));
  if (whole < 120) return `${whole} s`;
  if (whole < 7_200) return `${Math.floor(whole / 60)} min`;
  if (whole < 172_800) return `${Math.floor(whole / 3_600)} h`;
  return whole > 100 * 365 * 86_400 ? "for ever" : `${Math.floor(whole / 86_400)} d`;
}
