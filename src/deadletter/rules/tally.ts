import type { StoredDocument } from "../../broker/documents.js";
import type { Desk } from "../desk.js";

/** What a rule did so far, and how many it may take at present: a document of the kind "counter". */
export interface RuleTally {
  /** Dead letters it took, and moved, routed or discarded. */
  readonly acted: number;
  /** In shadow: those it would have. */
  readonly would: number;
  /** Dead letters it matched and left, by why. */
  readonly left: Readonly<Record<string, number>>;
  readonly lastHitAtMs: number | undefined;
  readonly allowance: number;
  readonly allowanceAtMs: number;
}

/** At the beginning it may take as many as can be saved up. */
const noTally = (nowMs: number): RuleTally => ({
  acted: 0,
  would: 0,
  left: {},
  lastHitAtMs: undefined,
  allowance: Number.MAX_SAFE_INTEGER,
  allowanceAtMs: nowMs,
});

export const tallyId = (rule: string) => `rule:${rule}`;

export async function readTallies(
  { store }: Desk,
  names: readonly string[],
  nowMs: number,
): Promise<Map<string, Counted>> {
  const ids = names.map(tallyId);
  const found = new Map((await store.readDocuments("counter", ids)).map((one) => [one.id, one]));
  return new Map(names.map((name) => [name, counted(found.get(tallyId(name)), nowMs)]));
}

export interface Counted {
  readonly version: number;
  readonly tally: RuleTally;
}

function counted(document: StoredDocument | undefined, nowMs: number): Counted {
  const stored = document?.value as RuleTally | undefined;
  const isOne = typeof stored === "object" && stored !== null && typeof stored.acted === "number";
  return { version: document?.version ?? 0, tally: isOne ? stored : noTally(nowMs) };
}

/** How many the rate allows now: what a sixth of a minute brings is saved up at the most. */
export function allowanceNow({ allowance, allowanceAtMs }: RuleTally, perMinute: number, nowMs: number): number {
  const most = Math.max(1, perMinute / 6);
  return Math.min(most, allowance + (Math.max(0, nowMs - allowanceAtMs) * perMinute) / 60_000);
}

export function added(left: Readonly<Record<string, number>>, whys: readonly string[]): Record<string, number> {
  const sum = { ...left };
  for (const why of whys) sum[why] = (sum[why] ?? 0) + 1;
  return sum;
}
