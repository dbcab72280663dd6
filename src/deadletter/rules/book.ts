import type { NewAct } from "../../broker/audit.js";
import type { Act } from "../../broker/roles.js";
import { HoldfastError, invalidOption } from "../../core/errors.js";
import type { ByOptions } from "../../inspector/options.js";
import { type Desk, failed, forgetDocuments } from "../desk.js";
import { recorded } from "../recorded.js";
import { type CheckedRule, checkedRule, ruleName, type RuleOptions } from "./options.js";
import { type NamedRule, type RuleMode, rulesIn, type RuleStatus, statusOf, type StoredRule } from "./rule.js";
import { readTallies, type RuleTally, tallyId } from "./tally.js";

/** A rule as one may look at it. */
export interface Rule extends StoredRule, Pick<RuleTally, "acted" | "would" | "left" | "lastHitAtMs"> {
  readonly name: string;
  readonly status: RuleStatus;
}

/** By their order: the first that matches has a dead letter. */
export async function listRules(desk: Desk): Promise<Rule[]> {
  const nowMs = desk.nowMs();
  const rules = rulesIn(await desk.store.readDocuments("rule"));
  const tallies = await readTallies(
    desk,
    rules.map(({ name }) => name),
    nowMs,
  );
  return rules.map((rule) => {
    const { version: _version, query: _query, ...told } = rule;
    const { acted, would, left, lastHitAtMs } = tallies.get(rule.name)!.tally;
    return { ...told, status: statusOf(rule, nowMs), acted, would, left, lastHitAtMs };
  });
}

/** @throws OPTION_INVALID SEARCH_INVALID; also where there is one of that name */
export async function addRule(desk: Desk, given: RuleOptions, options: ByOptions | undefined): Promise<Rule> {
  const checked = checkedRule(given);
  const by = desk.act(options, "addRule");
  const rules = rulesIn(await desk.store.readDocuments("rule"));
  if (rules.some(({ name }) => name === checked.name))
    throw invalidOption("rule.name", `${JSON.stringify(checked.name)} is there already: remove it first`);
  if (rules.length >= maxRules) throw invalidOption("rule", `there are ${maxRules} rules, and no more are allowed`);
  const last = rules.at(-1)?.order ?? 0;
  const rule = storedRule(checked, by, checked.order ?? last + 10, desk.nowMs());
  await recorded(desk, actOn(by, "rule add", checked.name, rule), async () => {
    if (!(await write(desk, checked.name, rule, 0)))
      throw invalidOption("rule.name", `${JSON.stringify(checked.name)} is there already: remove it first`);
  });
  return ruleOf(desk, checked.name);
}

/** Each is looked at for each dead letter. */
const maxRules = 200;

function storedRule(checked: CheckedRule, { actor, reason }: Act, order: number, nowMs: number): StoredRule {
  const { search, action, afterMs, owner, expiresMs, perMinute, cap, mode } = checked;
  return {
    search,
    action,
    afterMs,
    owner,
    reason,
    expiresAtMs: nowMs + expiresMs,
    perMinute,
    cap,
    mode,
    order,
    sinceMs: nowMs,
    createdAtMs: nowMs,
    createdBy: actor,
  };
}

/** Another mode, from the oldest dead letter on. @throws OPTION_INVALID where there is no such rule */
export async function setRuleMode(
  desk: Desk,
  name: string,
  mode: RuleMode,
  options: ByOptions | undefined,
): Promise<Rule> {
  const by = desk.act(options, "setRuleMode");
  const rule = await namedRule(desk, name);
  if (rule.mode === mode) return ruleOf(desk, name);
  const { name: _name, version, query: _query, ...stored } = rule;
  await recorded(desk, actOn(by, `rule ${mode}`, name, stored), async () => {
    if (!(await write(desk, name, { ...stored, mode, sinceMs: desk.nowMs() }, version)))
      throw failed(desk, `rule ${name} was changed meanwhile`);
  });
  return ruleOf(desk, name);
}

/** @throws RULE_NOT_FOUND OPTION_INVALID */
export async function removeRule(desk: Desk, name: string, options: ByOptions | undefined): Promise<void> {
  const by = desk.act(options, "removeRule");
  const rule = await namedRule(desk, name);
  await recorded(desk, actOn(by, "rule remove", name, rule), async () => {
    if (!(await write(desk, name, undefined, rule.version))) throw failed(desk, `rule ${name} was changed meanwhile`);
  });
  await forgetDocuments(desk, "counter", await desk.store.readDocuments("counter", [tallyId(name)]));
}

/** @throws OPTION_INVALID where there is no such rule */
export async function namedRule({ store }: Desk, name: string): Promise<NamedRule> {
  const [found] = rulesIn(await store.readDocuments("rule", [ruleName(name, "rule.name")]));
  if (found === undefined) throw new HoldfastError("RULE_NOT_FOUND", { name });
  return found;
}

async function ruleOf(desk: Desk, name: string): Promise<Rule> {
  const rule = (await listRules(desk)).find((one) => one.name === name);
  if (rule === undefined) throw new HoldfastError("RULE_NOT_FOUND", { name });
  return rule;
}

/** The search may name values of payloads: it is not told. */
function actOn(by: Act, verb: string, name: string, { action, owner, mode }: StoredRule): NewAct {
  return { ...by, verb, what: JSON.stringify({ rule: name, does: action.do, owner, mode }), count: 0 };
}

async function write(desk: Desk, name: string, value: StoredRule | undefined, ifVersion: number): Promise<boolean> {
  const [receipt] = await desk.store.writeDocuments("rule", [{ id: name, value, ifVersion }], desk.nowMs());
  return receipt?.status === "written";
}
