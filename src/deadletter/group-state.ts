import type { StoredDocument } from "../broker/documents.js";
import type { GroupSample } from "../broker/failure-groups.js";
import type { Fingerprint } from "../core/fingerprint.js";

/**
 * What people make of a cause. `regressed`: it was resolved, and has been seen again since. Nobody sets that: it follows from
 * when the cause was seen last.
 */
export type GroupStatus = "open" | "acknowledged" | "snoozed" | "resolved" | "regressed";
export const groupStatuses: readonly GroupStatus[] = ["open", "acknowledged", "snoozed", "resolved", "regressed"];

export interface GroupNote {
  readonly atMs: number;
  readonly actor: string;
  readonly text: string;
}

/** What was found, what was done about it, and what to keep in mind. */
export interface GroupResolution {
  readonly atMs: number;
  readonly actor: string;
  readonly cause: string;
  readonly fix: string | undefined;
  readonly lesson: string | undefined;
}

/** Kept in a document of kind "group" whose id is the fingerprint: it outlives the dead letters. */
export interface GroupState {
  /** What was said last. */
  readonly set: Exclude<GroupStatus, "regressed">;
  readonly setAtMs: number;
  readonly setBy: string;
  /** Of a snoozed group. */
  readonly untilMs: number | undefined;
  /** The oldest first. */
  readonly notes: readonly GroupNote[];
  readonly resolutions: readonly GroupResolution[];
  /** What was known of it when somebody said something of it. */
  readonly firstSeenAtMs: number | undefined;
  readonly lastSeenAtMs: number | undefined;
  readonly types: readonly string[];
  readonly sample: GroupSample | undefined;
}

export const untouched: GroupState = {
  set: "open",
  setAtMs: 0,
  setBy: "",
  untilMs: undefined,
  notes: [],
  resolutions: [],
  firstSeenAtMs: undefined,
  lastSeenAtMs: undefined,
  types: [],
  sample: undefined,
};

/** The newest are kept. */
export const maxNotes = 50;
export const maxResolutions = 10;

/** By fingerprint; who writes there are these very functions, so what is no state of a group is left out as a whole. */
export function statesIn(documents: readonly StoredDocument[]): Map<Fingerprint, GroupState> {
  return new Map(
    documents.flatMap(({ id, value }) => (isState(value) ? [[id, { ...untouched, ...value }] as const] : [])),
  );
}

const isState = (value: unknown): value is GroupState => {
  if (typeof value !== "object" || value === null) return false;
  const { set, setAtMs, notes = [], resolutions = [], types = [] } = value as Record<string, unknown>;
  return (
    groupStatuses.includes(set as GroupStatus) &&
    typeof setAtMs === "number" &&
    [notes, resolutions, types].every((list) => Array.isArray(list))
  );
};

/** Times of death are whole seconds: what died in the second of the resolution had died before it. */
export function statusOf(state: GroupState, lastSeenAtMs: number | undefined, nowMs: number): GroupStatus {
  if (state.set === "resolved" && lastSeenAtMs !== undefined && lastSeenAtMs > state.setAtMs) return "regressed";
  if (state.set === "snoozed" && (state.untilMs ?? 0) <= nowMs) return "open";
  return state.set;
}
