import { invalidOption, shown } from "../../core/errors.js";
import { queueName } from "../../core/names.js";
import { type Given, resolve, type Resolved, setting, textSetting } from "../../core/settings.js";
import { parseSearch } from "../search/parse.js";
import type { RuleAction } from "./rule.js";

export const ruleSettings = {
  name: setting.text({
    default: undefined,
    allowed: "1 to 64 letters, digits or _ . -",
    says: "its name; needed",
    parse: ruleName,
  }),
  search: textSetting(2_000, "which dead letters it is for: a search; needed"),
  action: setting.choice({
    of: ["run", "route", "discard"],
    default: undefined,
    says: "run them again, once each; run them in another queue; put them into the trash; needed",
  }),
  queue: setting.text({
    default: undefined,
    allowed: "a queue's name",
    says: "of `route`: where to",
    parse: (value, option) => queueName(value, option),
  }),
  attempts: setting.integer({
    default: 1,
    min: 1,
    max: 1_000,
    says: "of `run` and `route`: how many runs a task has before it is a dead letter again",
  }),
  keep: setting.duration({
    default: "14d",
    min: "1m",
    max: "3650d",
    says: "of `discard`: how long they can be restored",
  }),
  after: setting.duration({ default: "5m", says: "how old a dead letter is before the rule has it" }),
  owner: textSetting(200, "who answers for it; needed"),
  expires: setting.duration({
    default: undefined,
    min: "1m",
    max: "365d",
    says: "how long it holds from now on; needed, for a rule that nobody looks at any more does harm",
  }),
  perMinute: setting.integer({
    default: 60,
    min: 1,
    max: 60_000,
    says: "dead letters that it takes in a minute at the most",
  }),
  cap: setting.integer({
    default: 3,
    min: 1,
    max: 100,
    says: "a dead letter that was run again so often, by a rule, a redrive or by hand, is left alone",
  }),
  mode: setting.choice({
    of: ["shadow", "live", "off"],
    default: "shadow",
    says: "count what it would do; do it; neither",
  }),
  order: setting.integer({
    default: undefined,
    max: 1_000_000,
    says: "the rule with the smallest number that matches has a dead letter; behind all others unless given",
  }),
};
export type RuleOptions = Given<typeof ruleSettings>;

/** @throws OPTION_INVALID */
export function ruleName(value: unknown, option: string): string {
  if (typeof value === "string" && /^[A-Za-z0-9_.-]{1,64}$/.test(value)) return value;
  throw invalidOption(option, `must be 1 to 64 letters, digits or _ . -, got ${shown(value)}`);
}

export type CheckedRule = Omit<Resolved<typeof ruleSettings>, "action" | "queue" | "keepMs" | "attempts"> & {
  readonly name: string;
  readonly search: string;
  readonly owner: string;
  readonly expiresMs: number;
  readonly action: RuleAction;
};

/** @throws OPTION_INVALID SEARCH_INVALID */
export function checkedRule(given: RuleOptions): CheckedRule {
  const { action, queue, keepMs, attempts, ...rest } = resolve(ruleSettings, given, "rule");
  const { name, search, owner, expiresMs } = rest;
  for (const [option, value] of Object.entries({ name, search, action, owner, expires: expiresMs })) {
    if (value === undefined) throw invalidOption(`rule.${option}`, "is needed");
  }
  parseSearch(search!);
  if (action === "route" && queue === undefined)
    throw invalidOption("rule.queue", "is needed: where are they routed to?");
  return { ...rest, name: name!, search: search!, owner: owner!, expiresMs: expiresMs!, action: doing() };

  function doing(): RuleAction {
    if (action === "run") return { do: "run", attempts };
    return action === "route" ? { do: "route", queue: queue!, attempts } : { do: "discard", keepMs };
  }
}
