import type { OutcomeCount } from "../broker/outcome-counts.js";
import type { EvictedKeys } from "../core/evicted-keys.js";
import type { QueueInfo } from "../core/info.js";
import type { Growth } from "../inspector/growth.js";
import type { Oldest } from "./oldest-letters.js";

/** What one look at storage tells: metrics and alerts are both made of it, so that they never differ. */
export interface Facts {
  /** Unix ms. */
  readonly atMs: number;
  /** By name. */
  readonly queues: readonly QueueFacts[];
  /** Failure groups, what regressed or is new first, at most `maxGroups`; undefined where they cannot be told. */
  readonly groups: readonly GroupFacts[] | undefined;
  /** What became of attempts, all-time; undefined where storage never can tell. */
  readonly types: readonly OutcomeCount[] | undefined;
  /** Redis servers that say how they are; none where they may not be asked. */
  readonly servers: readonly ServerFacts[];
}

export interface ServerFacts {
  /** "host:port" */
  readonly node: string;
  readonly evicted: EvictedKeys;
}

export interface QueueFacts {
  readonly info: QueueInfo;
  /** Workers that serve it, of other programs too. */
  readonly consumers: number;
  /** Estimated; undefined where it has not been asked for yet. */
  readonly memoryBytes: number | undefined;
  /** Of its dead letters that nobody has acknowledged; undefined where it is not known yet. */
  readonly oldestLetter: Oldest | undefined;
  /** Dead letters that there is room for before some policy acts; undefined: there is no bound. */
  readonly headroom: number | undefined;
  /** Dead letters that a policy has taken out of storage, all-time, by cause. */
  readonly evicted: Growth["evicted"];
}

export interface GroupFacts {
  /** "v1:…" */
  readonly fingerprint: string;
  readonly type: string;
  readonly status: "open" | "acknowledged" | "snoozed" | "resolved" | "regressed";
  readonly count: number;
  /** Those of its dead letters, the one with most of them first. */
  readonly queues: readonly string[];
  readonly firstSeenMs: number;
  readonly lastSeenMs: number;
}

/** Groups that are looked at: those of the lowest count or age are in none of our alarms. */
export const maxGroups = 200;
