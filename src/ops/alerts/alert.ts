import { createHash } from "node:crypto";
import type { Labels, Rule, RuleName, RuleSettings } from "./rule.js";
import { isWorse, type Severity, severities } from "./severity.js";

/** Where one alert stands: what must be known to go on after a restart. Stored as JSON, so fields are only added. */
export interface Alert {
  readonly rule: RuleName;
  readonly labels: Labels;
  /** Since when each level's condition holds, Unix ms. */
  readonly since: Readonly<Partial<Record<Severity, number>>>;
  readonly firing?: Firing | undefined;
  /** When it ended, where it does not fire. */
  readonly resolvedAtMs?: number | undefined;
  /** As it was at the last change. */
  readonly value: number;
}

export interface Firing {
  readonly severity: Severity;
  /** The worst that was told of it; its severity where it was never worse. */
  readonly worst?: Severity | undefined;
  /** Since when it has been so, and when it was told. */
  readonly sinceMs: number;
  readonly firedAtMs: number;
  /** When it was last told. */
  readonly toldAtMs: number;
  /** Since when the condition does not hold any more. */
  readonly clearSinceMs?: number | undefined;
  /** What it shares with others that began with it (`Kin`); none where an older version told it. */
  readonly cause?: Cause | undefined;
}

export interface Cause {
  /** For receivers to fold by: another each time. */
  readonly key: string;
  /** Since when the condition of the first of them holds. */
  readonly sinceMs: number;
}

export type AlertEvent = "firing" | "escalated" | "repeated" | "resolved";

/**
 * The same for the same thing in every process and after every restart: what alerts of receivers are merged by. Neither
 * value, severity nor the machine is in it.
 */
export function dedupeKey(environment: string, rule: string, labels: Labels): string {
  const sorted = Object.entries(labels).toSorted(([a], [b]) => (a < b ? -1 : 1));
  return createHash("sha256")
    .update(JSON.stringify([environment, rule, sorted]))
    .digest("hex")
    .slice(0, 32);
}

export interface Stepped {
  /** Undefined: there is nothing to remember of it. */
  readonly alert: Alert | undefined;
  readonly event: AlertEvent | undefined;
}

/**
 * One look at one alert. Pure: inactive → pending (`for`) → firing → resolved, with a way back that is longer than the way
 * there (`clearShare`, `keepFiringMs`), so that what swings about a threshold is told once.
 */
export function step(
  before: Alert,
  value: number | undefined,
  rule: Rule,
  settings: RuleSettings,
  { nowMs, repeatMs }: { readonly nowMs: number; readonly repeatMs: number },
): Stepped {
  if (value === undefined && settings.enabled) return { alert: isKnown(before) ? before : undefined, event: undefined };
  const since = sinceOf(before, value, rule, settings, nowMs);
  const ripe = severities
    .filter((level) => since[level] !== undefined && nowMs - since[level] >= settings.forMs)
    .at(-1);
  const holds = Object.keys(since).length > 0;
  const { firing } = before;

  if (firing === undefined) {
    if (ripe !== undefined) {
      const begun = { severity: ripe, sinceMs: since[ripe]!, firedAtMs: nowMs, toldAtMs: nowMs };
      return { alert: alertOf(before, since, value, begun), event: "firing" };
    }
    const remembered = holds || before.resolvedAtMs !== undefined;
    const begins = holds && Object.keys(before.since).length === 0;
    const seen = begins && value !== undefined ? { ...before, value } : before;
    return { alert: remembered ? { ...seen, since } : undefined, event: undefined };
  }

  if (!holds) {
    const clearSinceMs = firing.clearSinceMs ?? nowMs;
    if (nowMs - clearSinceMs >= settings.keepFiringMs || !settings.enabled)
      return { alert: { ...alertOf(before, since, value, undefined), resolvedAtMs: nowMs }, event: "resolved" };
    return { alert: { ...before, since, firing: { ...firing, clearSinceMs } }, event: undefined };
  }
  const { clearSinceMs: _, ...held } = firing;
  if (ripe !== undefined && isWorse(ripe, firing.severity)) {
    const worst = held.worst !== undefined && isWorse(held.worst, ripe) ? held.worst : ripe;
    const worse = { ...held, severity: ripe, worst, toldAtMs: nowMs };
    return { alert: alertOf(before, since, value, worse), event: "escalated" };
  }
  const severity = ripe ?? firing.severity;
  const worst = firing.worst ?? firing.severity;
  if (nowMs - firing.toldAtMs >= repeatMs)
    return { alert: alertOf(before, since, value, { ...held, severity, worst, toldAtMs: nowMs }), event: "repeated" };
  return { alert: { ...before, since, firing: { ...held, severity, worst } }, event: undefined };
}

const isKnown = ({ since, firing, resolvedAtMs }: Alert) =>
  firing !== undefined || resolvedAtMs !== undefined || Object.keys(since).length > 0;

const alertOf = (
  before: Alert,
  since: Alert["since"],
  value: number | undefined,
  firing: Firing | undefined,
): Alert => {
  const { resolvedAtMs: _, ...rest } = before;
  return { ...rest, since, firing, value: value ?? before.value };
};

/** Since when each level holds; what fires at a level holds on until the value is well on this side of it. */
function sinceOf(
  { since, firing }: Alert,
  value: number | undefined,
  rule: Rule,
  { thresholds, enabled }: RuleSettings,
  nowMs: number,
): Alert["since"] {
  if (value === undefined || !enabled) return {};
  const holds = (level: Severity) => {
    const threshold = thresholds[level];
    if (threshold === undefined) return false;
    const fires = firing !== undefined && !isWorse(level, firing.severity);
    const above = rule.bad === "above";
    const bound = fires ? (above ? threshold * rule.clearShare : threshold / rule.clearShare) : threshold;
    return above ? value > bound : value < bound;
  };
  return Object.fromEntries(severities.filter(holds).map((level) => [level, since[level] ?? nowMs]));
}
