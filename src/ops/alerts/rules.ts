import { shellWord } from "../../core/shell-word.js";
import { deadLetterRules } from "./dead-letter-rules.js";
import { grown, minute, usual } from "./finding.js";
import { queueRules } from "./queue-rules.js";
import { counters } from "../trail.js";
import type { Rule, RuleName } from "./rule.js";

/** Of the monitor itself, and what it stands on. */
const monitorRules: readonly Rule[] = [
  {
    name: "DutyFailing",
    says: "work that this monitor does by the side fails",
    unit: "seconds",
    bad: "above",
    clearShare: 1,
    defaults: { ...usual, thresholds: { warning: 600 }, keepFiringMs: 0 },
    mutedBy: [],
    find: ({ failing }) => Object.entries(failing).map(([duty, ms]) => ({ labels: { duty }, value: ms / 1_000 })),
    title: ({ duty }, value) => `The duty "${duty}" of the monitor has failed for ${value}`,
    first: () => "holdfast monitor: read its log",
  },
  {
    name: "NotificationsFailing",
    says: "a channel does not take notifications",
    unit: "seconds",
    bad: "above",
    clearShare: 1,
    defaults: { ...usual, thresholds: { warning: 300 }, keepFiringMs: 0 },
    mutedBy: [],
    find: ({ undelivered }) =>
      Object.entries(undelivered).map(([channel, ms]) => ({ labels: { channel }, value: ms / 1_000 })),
    title: ({ channel }, value) => `The channel "${channel}" has taken no notification for ${value}`,
    first: ({ channel }) => `holdfast alerts test ${shellWord(channel ?? "")}`,
  },
  {
    name: "RedisEvicting",
    says: "Redis deletes keys to make room, and tasks may be among them",
    unit: "keys",
    bad: "above",
    clearShare: 1,
    defaults: { ...usual, thresholds: { critical: 0 }, windowMs: 5 * minute },
    mutedBy: [],
    find: (look) =>
      look.facts.servers.map(({ node }) => ({
        labels: { node },
        value: grown(look, "RedisEvicting", { node }, counters.evicted(node)),
      })),
    title: ({ node }, value) => `Redis ${node} has deleted ${value} for want of memory`,
    first: ({ node }) => `redis-cli -u ${shellWord(`redis://${node}`)} config set maxmemory-policy noeviction`,
  },
  {
    name: "StorageDown",
    says: "storage cannot be reached",
    unit: "seconds",
    bad: "above",
    clearShare: 1,
    defaults: { ...usual, thresholds: { critical: 0 }, forMs: minute, keepFiringMs: 0 },
    mutedBy: [],
    // Nothing can be looked at then: the monitor itself finds it.
    find: () => [],
    title: (_labels, value) => `Storage has not answered for ${value}`,
    first: () => "holdfast stats",
  },
];

/** All there are, on where nobody says otherwise. Each has a page in docs/operate/alerts. */
export const rules: readonly Rule[] = [...deadLetterRules, ...queueRules, ...monitorRules];

export const ruleOf = (name: RuleName): Rule => rules.find((rule) => rule.name === name)!;
