import { shellWord } from "../../core/shell-word.js";
import { printSearch, searchOf } from "../../deadletter/search/query.js";
import type { QueueFacts } from "../facts.js";
import type { Labels, Look, Rule, RuleName } from "./rule.js";

export const minute = 60_000;
/** Of most rules. */
export const usual = { forMs: 0, keepFiringMs: 5 * minute, windowMs: 0, minimum: 0, enabled: true };

export function perQueue(value: (queue: QueueFacts, look: Look) => number | undefined): Rule["find"] {
  return (look) =>
    look.facts.queues.map((queue) => ({ labels: { queue: queue.info.name }, value: value(queue, look) }));
}

export const ageS = (atMs: number | undefined, { facts }: Look) =>
  atMs === undefined ? 0 : Math.max(0, facts.atMs - atMs) / 1_000;

/** By how much a counter grew in the rule's window; a small number of a window that is not over yet says nothing. */
export function grown(look: Look, rule: RuleName, labels: Labels, counter: string): number | undefined {
  const { windowMs, thresholds } = look.settingsOf(rule, labels);
  const { by, whole } = look.trail.increase(counter, windowMs, look.facts.atMs);
  return whole || by > Math.min(...Object.values(thresholds)) ? by : undefined;
}

/** The share of the second counter in both; nothing where there were too few. */
export function share(look: Look, rule: RuleName, labels: Labels, part: string, all: string, exclusive: boolean) {
  const { windowMs, minimum } = look.settingsOf(rule, labels);
  const bad = look.trail.increase(part, windowMs, look.facts.atMs);
  const others = look.trail.increase(all, windowMs, look.facts.atMs);
  const sum = exclusive ? bad.by + others.by : others.by;
  if (sum >= Math.max(1, minimum)) return bad.by / sum;
  return others.whole ? 0 : undefined;
}

/** For titles. */
export const inQueue = ({ queue = "" }: Labels) => `queue "${queue}"`;
/** A search for the dead letters of exactly this name, and what else is asked of them, as one word for a shell. */
export const searching = (field: "queue" | "type", name: string | undefined, ...more: readonly string[]) =>
  shellWord([printSearch(searchOf(field, name ?? "")), ...more].join(" "));
