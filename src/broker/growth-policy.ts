import { lastTimeMs } from "../core/duration.js";
import type { StoredDocument } from "./documents.js";

/** What is to become of dead letters past a bound: nothing, but people are told; into a file; or away, counted. */
export const overflows = ["refuse", "spill", "drop"] as const;
export type Overflow = (typeof overflows)[number];

/** How many dead letters are kept, and for how long; without either bound it says only that nothing is trimmed. */
export interface GrowthPolicy {
  /** Older ones are past the bound, ms. */
  readonly keepForMs: number | undefined;
  /** The oldest beyond so many are past the bound. */
  readonly keepMost: number | undefined;
  readonly overflow: Overflow;
  /** Who made it, when and why. */
  readonly actor: string;
  readonly reason: string;
  readonly setAtMs: number;
}

/** The policies that hold in one queue. A type that has one of its own is not counted among the queue's. */
export interface QueuePolicies {
  readonly own: GrowthPolicy | undefined;
  readonly types: ReadonlyMap<string, GrowthPolicy>;
}

/** Instead of a queue's name: for all queues that have none of their own. */
export const everyQueue = "*";

/** A document of kind "policy" holds those of one queue, under its name. */
export interface StoredPolicies {
  readonly own?: GrowthPolicy;
  readonly types?: Readonly<Record<string, GrowthPolicy>>;
}

/** By queue; anybody may have written there: what is none of ours is left out. */
export function policiesIn(documents: readonly StoredDocument[]): ReadonlyMap<string, QueuePolicies> {
  return new Map(
    documents.map(({ id, value }) => {
      const { own, types } = (value ?? {}) as { own?: unknown; types?: unknown };
      const known = Object.entries(typeof types === "object" && types !== null ? types : {}).flatMap(
        ([type, stored]) => {
          const policy = policyIn(stored);
          return policy === undefined ? [] : [[type, policy] as const];
        },
      );
      return [id, { own: policyIn(own), types: new Map(known) }];
    }),
  );
}

/** What holds in a queue: its own, and of all queues what it has not. */
export function policiesOf(all: ReadonlyMap<string, QueuePolicies>, queue: string): QueuePolicies {
  const [mine, common] = [all.get(queue), all.get(everyQueue)];
  return { own: mine?.own ?? common?.own, types: new Map([...(common?.types ?? []), ...(mine?.types ?? [])]) };
}

function policyIn(stored: unknown): GrowthPolicy | undefined {
  if (typeof stored !== "object" || stored === null) return undefined;
  const { keepForMs, keepMost, overflow, actor, reason, setAtMs } = stored as Record<string, unknown>;
  if (!overflows.includes(overflow as Overflow)) return undefined;
  const bounds = [keepForMs, keepMost];
  // A bound that cannot be read is not as good as none: with the other one alone, more might go than was meant to.
  if (bounds.some((bound) => bound !== undefined && !isCount(bound))) return undefined;
  return {
    keepForMs: keepForMs as number | undefined,
    keepMost: keepMost as number | undefined,
    overflow: overflow as Overflow,
    actor: String(actor ?? ""),
    reason: String(reason ?? ""),
    setAtMs: isCount(setAtMs) ? setAtMs : 0,
  };
}

const isCount = (value: unknown): value is number =>
  typeof value === "number" && Number.isSafeInteger(value) && value >= 0 && value <= lastTimeMs;
