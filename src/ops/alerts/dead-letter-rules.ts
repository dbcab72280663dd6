import { shellWord } from "../../core/shell-word.js";
import type { GroupFacts } from "../facts.js";
import { counters } from "../trail.js";
import { ageS, grown, inQueue, minute, perQueue, searching, usual } from "./finding.js";
import type { Look, Rule } from "./rule.js";

/** How many dead letters there are, how fast they come, and of which causes. */
export const deadLetterRules: readonly Rule[] = [
  {
    name: "DlqNotEmpty",
    says: "a queue has dead letters that nobody has acknowledged",
    unit: "letters",
    bad: "above",
    clearShare: 1,
    defaults: { ...usual, thresholds: { info: 0 }, forMs: 15 * minute },
    mutedBy: ["DlqSizeHigh"],
    find: perQueue(({ oldestLetter }) => oldestLetter?.count),
    title: (labels, value) => `${value} in ${inQueue(labels)}`,
    first: () => "holdfast dlq groups",
  },
  {
    name: "DlqSizeHigh",
    says: "a queue has many dead letters that nobody has acknowledged",
    unit: "letters",
    bad: "above",
    clearShare: 0.8,
    defaults: { ...usual, thresholds: { warning: 100, critical: 1_000 }, forMs: 5 * minute },
    mutedBy: [],
    find: perQueue(({ oldestLetter }) => oldestLetter?.count),
    title: (labels, value) => `${value} in ${inQueue(labels)}`,
    first: () => "holdfast dlq groups",
  },
  {
    name: "DlqGrowing",
    says: "many dead letters have come within the window",
    unit: "letters",
    bad: "above",
    clearShare: 0.8,
    defaults: { ...usual, thresholds: { critical: 20 }, forMs: 5 * minute, windowMs: 10 * minute },
    mutedBy: [],
    find: perQueue(({ info: { name } }, look) => grown(look, "DlqGrowing", { queue: name }, counters.arrived(name))),
    title: (labels, value) => `${value} have come lately in ${inQueue(labels)}`,
    first: () => "holdfast dlq groups",
  },
  {
    name: "DlqOldestAge",
    says: "the oldest dead letter of a queue that nobody has acknowledged is old",
    unit: "seconds",
    bad: "above",
    clearShare: 1,
    defaults: { ...usual, thresholds: { warning: 24 * 3_600, critical: 72 * 3_600 }, forMs: 10 * minute },
    mutedBy: [],
    find: perQueue(({ oldestLetter }, look) => oldestLetter && ageS(oldestLetter.atMs, look)),
    title: (labels, value) =>
      `The oldest dead letter of ${inQueue(labels)} that nobody has acknowledged has waited ${value}`,
    first: ({ queue }) => `holdfast dlq search ${searching("queue", queue, "-is:acknowledged")}`,
  },
  {
    name: "DlqOverflowSoon",
    says: "at the present rate a queue's dead letters soon meet their bound",
    unit: "seconds",
    bad: "below",
    clearShare: 0.8,
    defaults: {
      ...usual,
      thresholds: { warning: 6 * 3_600, critical: 3_600 },
      forMs: 5 * minute,
      windowMs: 30 * minute,
    },
    mutedBy: [],
    find: (look) =>
      look.facts.queues
        .filter(({ headroom }) => headroom !== undefined)
        .map(({ info: { name }, headroom }) => ({ labels: { queue: name }, value: untilFullS(look, name, headroom!) })),
    title: (labels, value) => `At this rate ${inQueue(labels)} has room for dead letters for ${value}`,
    first: () => "holdfast dlq stats",
  },
  {
    name: "DlqDataLost",
    says: "dead letters of a queue were deleted, for there was no room",
    unit: "letters",
    bad: "above",
    clearShare: 1,
    defaults: { ...usual, thresholds: { critical: 0 }, windowMs: 5 * minute },
    mutedBy: [],
    find: perQueue(({ info: { name } }, look) => grown(look, "DlqDataLost", { queue: name }, counters.lost(name))),
    title: (labels, value) => `${value} of ${inQueue(labels)} were deleted for want of room`,
    first: ({ queue }) => `holdfast dlq export --where ${searching("queue", queue)} --out lost.jsonl`,
  },
  {
    name: "NewFailureGroup",
    says: "dead letters of a cause that was not there before the window",
    unit: "letters",
    bad: "above",
    clearShare: 1,
    defaults: { ...usual, thresholds: { warning: 9 }, windowMs: 10 * minute },
    mutedBy: [],
    find: perGroup(
      ({ status, firstSeenMs, fingerprint, type }, look) =>
        status === "open" &&
        look.facts.atMs - firstSeenMs <= look.settingsOf("NewFailureGroup", { fingerprint, type }).windowMs,
    ),
    title: ({ type }, value) => `${value} of a new cause, of type "${type}"`,
    // Somebody who is woken must not take its dead letters for gone.
    over: ({ type }) =>
      `Not new any more: a cause of type "${type}"; what is dead of it stays until somebody deals with it`,
    first: ({ fingerprint }) => `holdfast dlq groups ${shellWord(fingerprint ?? "")}`,
  },
  {
    name: "GroupRegressed",
    says: "a cause that was resolved is back",
    unit: "letters",
    bad: "above",
    clearShare: 1,
    defaults: { ...usual, thresholds: { warning: 0 } },
    mutedBy: [],
    find: perGroup(({ status }) => status === "regressed"),
    title: ({ type }, value) => `${value} of a cause that was resolved, of type "${type}"`,
    first: ({ fingerprint }) => `holdfast dlq groups ${shellWord(fingerprint ?? "")}`,
  },
];

function perGroup(wanted: (group: GroupFacts, look: Look) => boolean): Rule["find"] {
  return (look) =>
    look.facts.groups
      ?.filter((group) => wanted(group, look))
      .map(({ fingerprint, type, count }) => ({ labels: { fingerprint, type }, value: count }));
}

/** Seconds until there is no room: none where the bound is met; as good as never where nothing comes. */
function untilFullS(look: Look, queue: string, headroom: number): number {
  if (headroom === 0) return 0;
  const { windowMs } = look.settingsOf("DlqOverflowSoon", { queue });
  const { by } = look.trail.increase(counters.arrived(queue), windowMs, look.facts.atMs);
  return by === 0 ? Number.MAX_SAFE_INTEGER : headroom / (by / (windowMs / 1_000));
}
