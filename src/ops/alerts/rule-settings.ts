import { type Duration, toMs } from "../../core/duration.js";
import { invalidOption, shown } from "../../core/errors.js";
import { resolveGiven, setting } from "../../core/settings.js";
import { type Labels, type Rule, type RuleName, ruleNames, type RuleSettings, type Unit } from "./rule.js";
import { ruleOf } from "./rules.js";
import { type Severity, severities, shifted } from "./severity.js";

/** A threshold as one writes it: a number of tasks, a share between 0 and 1, a duration; null takes the level away. */
export type Threshold = number | Duration | null;

/** What one may say of a rule, for all queues or for one. */
export interface GivenRule {
  readonly enabled?: boolean;
  readonly info?: Threshold;
  readonly warning?: Threshold;
  readonly critical?: Threshold;
  /** How long it has to hold before anybody hears of it. */
  readonly for?: Duration;
  /** How long it must be over before it is told to be over. */
  readonly keepFiring?: Duration;
  /** Over what time counters are compared. */
  readonly window?: Duration;
  /** Fewer tasks than this in the window say nothing. */
  readonly minimum?: number;
}

export type GivenRules = Readonly<Partial<Record<RuleName, GivenRule>>>;

/** How much depends on tasks of a type: its alerts are a level better or worse than others'. */
export const criticalities = ["low", "normal", "high"] as const;
export type Criticality = (typeof criticalities)[number];

export interface Scopes {
  readonly rules: ReadonlyMap<RuleName, Partial<RuleSettings>>;
  readonly queues: ReadonlyMap<string, ReadonlyMap<RuleName, Partial<RuleSettings>>>;
  readonly criticality: ReadonlyMap<string, Criticality>;
}

/** What holds for a queue or type: what was said of it, then of the rule, then what is usual. */
export function settingsFor({ rules, queues, criticality }: Scopes, name: RuleName, labels: Labels): RuleSettings {
  const given = [rules.get(name), queues.get(labels["queue"] ?? "")?.get(name)];
  const { defaults, bad } = ruleOf(name);
  const merged: RuleSettings = given.reduce<RuleSettings>(
    (all, one) => ({ ...all, ...one, thresholds: withoutNone({ ...all.thresholds, ...one?.thresholds }) }),
    defaults,
  );
  const by = { low: -1, normal: 0, high: 1 } as const;
  const shift = by[criticality.get(labels["type"] ?? "") ?? "normal"];
  return shift === 0 ? merged : { ...merged, thresholds: shiftedThresholds(merged.thresholds, shift, bad) };
}

/** Where two levels meet, the one that is reached first counts. */
function shiftedThresholds(
  thresholds: RuleSettings["thresholds"],
  by: -1 | 1,
  bad: Rule["bad"],
): RuleSettings["thresholds"] {
  const moved: Partial<Record<Severity, number>> = {};
  for (const level of severities) {
    const value = thresholds[level];
    if (value === undefined) continue;
    const to = shifted(level, by);
    const other = moved[to] ?? value;
    moved[to] = bad === "above" ? Math.min(value, other) : Math.max(value, other);
  }
  return moved;
}

const withoutNone = (thresholds: RuleSettings["thresholds"]): RuleSettings["thresholds"] =>
  Object.fromEntries(Object.entries(thresholds).filter(([, value]) => !Number.isNaN(value)));

/** @throws OPTION_INVALID that names the field */
export function parseRules(given: unknown, at: string): ReadonlyMap<RuleName, Partial<RuleSettings>> {
  return new Map(
    entriesOf(given, at).map(([name, rule]) => {
      if (!ruleNames.includes(name as RuleName))
        throw invalidOption(`${at}.${name.slice(0, 64)}`, `is no rule; there are ${ruleNames.join(", ")}`);
      return [name as RuleName, parseRule(rule, ruleOf(name as RuleName), `${at}.${name}`)];
    }),
  );
}

/** A level that is taken away is NaN until all has been put together. */
function parseRule(given: unknown, rule: Rule, at: string): Partial<RuleSettings> {
  const level = thresholdSetting(rule.unit);
  const own = {
    enabled: setting.flag({ default: true, says: "whether anybody hears of it" }),
    ...Object.fromEntries(severities.map((name) => [name, level])),
    for: setting.duration({ default: "0s", says: "how long it has to hold" }),
    keepFiring: setting.duration({ default: "5m", says: "how long it must be over" }),
    ...(rule.defaults.windowMs === 0
      ? {}
      : { window: setting.duration({ default: "10m", min: "1s", max: "1h", says: "over what time" }) }),
    ...(rule.defaults.minimum === 0 ? {} : { minimum: setting.integer({ default: 50, says: "fewer say nothing" }) }),
  };
  const { info, warning, critical, ...rest } = resolveGiven(own, given as object, at) as Record<string, unknown>;
  const levels = Object.entries({ info, warning, critical }).filter(([, value]) => value !== undefined);
  return { ...rest, ...(levels.length === 0 ? {} : { thresholds: Object.fromEntries(levels) }) };
}

function thresholdSetting(unit: Unit) {
  const allowed = {
    tasks: "a whole number of tasks, or null",
    letters: "a whole number of dead letters, or null",
    keys: "a whole number of keys, or null",
    seconds: 'a duration such as "30s", or null',
    ratio: "a share between 0 and 1, or null",
  }[unit];
  return {
    kind: "record",
    says: "beyond which value it is this bad; null: never",
    default: undefined,
    allowed,
    parse(value: unknown, option: string): number {
      if (value === null) return Number.NaN;
      if (unit === "seconds") return toMs(value as Duration, option) / 1_000;
      if (
        typeof value === "number" &&
        (unit === "ratio" ? value > 0 && value <= 1 : Number.isInteger(value) && value >= 0)
      )
        return value;
      throw invalidOption(option, `must be ${allowed}, got ${shown(value)}`);
    },
  } as const;
}

/** The entries of an object that a person wrote. @throws OPTION_INVALID */
export function entriesOf(given: unknown, at: string): [string, unknown][] {
  if (given === undefined) return [];
  if (typeof given !== "object" || given === null || Array.isArray(given))
    throw invalidOption(at, `must be an object, got ${shown(given)}`);
  return Object.entries(given);
}
