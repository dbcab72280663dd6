import type { StoredDocument } from "../../broker/documents.js";
import { HoldfastError } from "../../core/errors.js";
import { parseSearch } from "../search/parse.js";
import type { SearchQuery } from "../search/query.js";

/** What a rule does with a dead letter that it takes. */
export type RuleAction =
  | { readonly do: "run"; readonly attempts: number }
  | { readonly do: "route"; readonly queue: string; readonly attempts: number }
  /** Into the trash, where it can be restored for so long. */
  | { readonly do: "discard"; readonly keepMs: number };

/** `shadow`: counts what it would do, and does nothing. */
export const ruleModes = ["shadow", "live", "off"] as const;
export type RuleMode = (typeof ruleModes)[number];

/** As it is stored, in a document of the kind "rule" whose id is its name. Fields are only added. */
export interface StoredRule {
  readonly search: string;
  readonly action: RuleAction;
  /** Not before a dead letter is so old. */
  readonly afterMs: number;
  readonly owner: string;
  readonly reason: string;
  readonly expiresAtMs: number;
  readonly perMinute: number;
  /** A dead letter that was run again so often is left alone. */
  readonly cap: number;
  readonly mode: RuleMode;
  /** The first that matches has it: small numbers come first. */
  readonly order: number;
  /** It begins with the oldest dead letter there is whenever this changes. */
  readonly sinceMs: number;
  readonly createdAtMs: number;
  readonly createdBy: string;
}

export interface NamedRule extends StoredRule {
  readonly name: string;
  readonly version: number;
  /** Undefined where this release cannot read its search. */
  readonly query: SearchQuery | undefined;
}

/** By their order; what is stored there and is no rule is none. */
export function rulesIn(documents: readonly StoredDocument[]): NamedRule[] {
  const rules = documents.flatMap(({ id, version, value }) => {
    const rule = value as StoredRule | null;
    if (typeof rule !== "object" || rule === null || typeof rule.search !== "string" || !isAction(rule.action))
      return [];
    return [{ ...rule, name: id, version, query: queryOf(rule.search) }];
  });
  return rules.toSorted((a, b) => a.order - b.order || (a.name < b.name ? -1 : 1));
}

const isAction = (action: unknown): action is RuleAction =>
  typeof action === "object" && action !== null && ["run", "route", "discard"].includes((action as RuleAction).do);

function queryOf(search: string): SearchQuery | undefined {
  try {
    return parseSearch(search);
  } catch (error) {
    if (HoldfastError.is(error, "SEARCH_INVALID")) return undefined;
    throw error;
  }
}

export type RuleStatus = RuleMode | "expired" | "unreadable";

export function statusOf({ mode, expiresAtMs, query }: NamedRule, nowMs: number): RuleStatus {
  if (query === undefined) return "unreadable";
  return expiresAtMs <= nowMs ? "expired" : mode;
}
