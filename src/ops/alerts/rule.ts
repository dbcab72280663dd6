import type { Facts } from "../facts.js";
import type { Trail } from "../trail.js";
import type { Severity } from "./severity.js";

/** Stored, and in people's configurations: only ever added to. In the order in which they are told. */
export const ruleNames = [
  "DlqNotEmpty",
  "DlqSizeHigh",
  "DlqGrowing",
  "DlqOldestAge",
  "DlqOverflowSoon",
  "DlqDataLost",
  "NewFailureGroup",
  "GroupRegressed",
  "TypeFailureRatio",
  "FinalFailureRatio",
  "QueueLatency",
  "NoWorkers",
  "PausedTooLong",
  "ForwarderStalled",
  "LeasesExpired",
  "DutyFailing",
  "NotificationsFailing",
  "RedisEvicting",
  "StorageDown",
] as const;
export type RuleName = (typeof ruleNames)[number];

/** What a rule is asked with: settings are those of the queue or type that it looks at. */
export interface Look {
  readonly facts: Facts;
  readonly trail: Trail;
  settingsOf(rule: RuleName, labels: Labels): RuleSettings;
  /** How long each duty of this monitor has failed without a break, ms; 0: it has not. */
  readonly failing: Readonly<Record<string, number>>;
  /** The same of each channel. */
  readonly undelivered: Readonly<Record<string, number>>;
}

export type Labels = Readonly<Record<string, string>>;

/** One thing that a rule looks at: a queue, a type, a group. */
export interface Finding {
  readonly labels: Labels;
  /** In the rule's unit; undefined: it cannot be told now, and what was known holds on. */
  readonly value: number | undefined;
}

/** What a user may set of a rule, resolved. */
export interface RuleSettings {
  readonly enabled: boolean;
  /** Beyond which value it is this bad; a level that is not there is never reached. */
  readonly thresholds: Readonly<Partial<Record<Severity, number>>>;
  /** How long it has to hold before anybody hears of it. */
  readonly forMs: number;
  /** How long it must be over before it is told to be over. */
  readonly keepFiringMs: number;
  /** Over what time counters are compared; 0 where none is. */
  readonly windowMs: number;
  /** Fewer tasks than this in the window say nothing. */
  readonly minimum: number;
}

export type Unit = "tasks" | "letters" | "keys" | "seconds" | "ratio";

export interface Rule {
  readonly name: RuleName;
  /** What it watches, for tables: no full stop. */
  readonly says: string;
  readonly unit: Unit;
  /** Which values are bad: those above the threshold, or below it. */
  readonly bad: "above" | "below";
  /** Settings where a user says nothing. */
  readonly defaults: RuleSettings;
  /** A value that has come back so far, as a share of its threshold, is well again; in between, what fires goes on. */
  readonly clearShare: number;
  /** While one of these fires for the same queue, this one is not told: it says the same once more. */
  readonly mutedBy: readonly RuleName[];
  /** What it looks at, now; undefined where nothing of it can be told. What was there and is not any more is well. */
  readonly find: (look: Look) => readonly Finding[] | undefined;
  /** The first line of what people read. */
  readonly title: (labels: Labels, value: string) => string;
  /** The first line of its end, where that is not what `says` suggests. */
  readonly over?: (labels: Labels) => string;
  /** The first thing to do: a command where there is one. */
  readonly first: (labels: Labels) => string;
}
