import { decodeMessage } from "../core/codec.js";
import { type Fingerprint, fingerprintOf } from "../core/fingerprint.js";
import type { Page, PageRequest, TaskInfo } from "../core/info.js";
import { readable } from "../core/protobuf.js";
import { unreadableFailure } from "./inferred.js";
import { toldOf } from "./told.js";

/**
 * Dead letters by the fingerprint of their cause, queue by queue. They come to their groups a moment after they died, in
 * bounded steps that somebody must ask for; until then, and where another program removed some of them, groups are not
 * what is in the archive. Every step makes that good a bit.
 */
export interface FailureGroupStore {
  /**
   * One step: what died since goes to its group, and members that are no dead letters any more leave it. Cheap where
   * nothing is new. The answer is how many were looked at, and `limit` where large ones ended the step before: then there
   * may be more. `atOnce`: also look for what other programs changed, which is otherwise done once a second.
   */
  indexDeadLetters(queues: readonly string[], limit: number, nowMs: number, atOnce?: boolean): Promise<number>;
  /** Per queue, in order; a group that has lost all its members is told for a week, at the least. */
  failureGroups(queues: readonly string[], nowMs: number): Promise<QueueGroups[]>;
  /**
   * A group's members, in the order and with the cursors of a list of all dead letters. Those that are no dead letters any
   * more are left out.
   */
  groupMembers(queue: string, fingerprint: Fingerprint, page: PageRequest): Promise<Page<TaskInfo>>;
  /** All dead letters of a queue, in the order and with the cursors of a list of them. */
  knownCauses(queue: string, page: PageRequest): Promise<Page<KnownCause>>;
}

export interface KnownCause {
  readonly id: string;
  /** Undefined where its group does not tell: it is in none yet, in the one for the rest, or died again since. */
  readonly fingerprint: Fingerprint | undefined;
}

export interface QueueGroups {
  readonly queue: string;
  /**
   * Dead letters that are in no group yet, as far as sizes tell: where another program archived some and removed as many
   * others it is too small, until those are found, among the newest or by the next walk through all, one of which begins
   * every ten minutes.
   */
  readonly unindexed: number;
  readonly groups: readonly QueueGroup[];
}

/** What is known of a group over all that was ever in it. */
export interface GroupAbout {
  readonly firstSeenAtMs: number;
  readonly lastSeenAtMs: number;
  /** At most ten each, the first that was seen and the last ones. */
  readonly types: readonly string[];
  readonly reasons: readonly string[];
  readonly builds: readonly string[];
  readonly sample: GroupSample | undefined;
}

/** The last one that came. */
export interface GroupSample {
  readonly id: string;
  readonly class: string;
  /** At most 300 characters. */
  readonly message: string;
}

export interface QueueGroup extends GroupAbout {
  readonly fingerprint: Fingerprint;
  readonly count: number;
  /** How many of them died within the last hour, and in the hour before. */
  readonly lastHour: number;
  readonly hourBefore: number;
  /** When the oldest of them died, Unix ms; undefined where there is none. */
  readonly oldestAtMs: number | undefined;
}

/** Of a queue; what is beyond has this one's fingerprint. */
export const maxGroups = 2_000;
export const overflowGroup: Fingerprint = "v1:0000000000000000";
export const maxNames = 10;
const maxSampleChars = 300;

/** A dead letter as storage has it. */
export interface DeadLetter {
  readonly id: string;
  readonly diedAtS: number;
  /** Its message; without the payload will do. */
  readonly bytes: Uint8Array;
  /** JSON of its failure, if there is one. */
  readonly failure: string | undefined;
}

/** A group as it is stored: times are Unix seconds. */
export interface StoredAbout {
  readonly first: number;
  readonly last: number;
  readonly types: readonly string[];
  readonly reasons: readonly string[];
  readonly builds?: readonly string[];
  readonly sample?: GroupSample;
}

/** Which group a dead letter belongs to, and what it adds to what is known of that. */
export function grouped({ id, diedAtS, bytes, failure: stored }: DeadLetter): {
  fingerprint: Fingerprint;
  about: StoredAbout;
} {
  const message = readable(decodeMessage, bytes);
  const type = message?.type ?? "";
  const told = { state: "archived", message, archivedAtMs: diedAtS * 1_000, failure: stored, history: undefined };
  const { failure = unreadableFailure(told.archivedAtMs) } = toldOf(id, told);
  const { build } = failure;
  return {
    fingerprint: groupOf({ message, failure }),
    about: {
      first: diedAtS,
      last: diedAtS,
      types: [type],
      reasons: [failure.reason],
      ...(build === undefined ? {} : { builds: [build] }),
      sample: { id, class: failure.class, message: failure.message.slice(0, maxSampleChars).toWellFormed() },
    },
  };
}

/** The failure group of a dead letter: what storage's index, searches, redrives and reports call its cause. */
export const groupOf = ({
  message,
  failure = unreadableFailure(),
}: Pick<TaskInfo, "message" | "failure">): Fingerprint => fingerprintOf(message?.type ?? "", failure);

/** `more` is of dead letters that came after those that `known` tells of. */
export function merged(known: StoredAbout | undefined, more: StoredAbout): StoredAbout {
  if (known === undefined) return more;
  const builds = named(known.builds, more.builds);
  const newest = more.last >= known.last ? more.sample : known.sample;
  return {
    first: Math.min(known.first, more.first),
    last: Math.max(known.last, more.last),
    types: named(known.types, more.types),
    reasons: named(known.reasons, more.reasons),
    ...(builds.length === 0 ? {} : { builds }),
    ...(newest === undefined ? {} : { sample: newest }),
  };
}

/** The first one stays: it says where all began. */
function named(known: readonly string[] = [], more: readonly string[] = []): string[] {
  const names = [...new Set([...known, ...more])];
  return names.length <= maxNames ? names : [names[0]!, ...names.slice(1 - maxNames)];
}

/** Whatever anybody wrote there. */
export function storedAbout(text: string): StoredAbout | undefined {
  let stored: Record<string, unknown>;
  try {
    stored = JSON.parse(text) as Record<string, unknown>;
  } catch {
    return undefined;
  }
  if (typeof stored !== "object" || stored === null) return undefined;
  const { first, last, sample } = stored;
  if (!isTime(first) || !isTime(last)) return undefined;
  const builds = namesIn(stored["builds"]);
  return {
    first,
    last,
    types: namesIn(stored["types"]),
    reasons: namesIn(stored["reasons"]),
    ...(builds.length === 0 ? {} : { builds }),
    ...(isSample(sample) ? { sample } : {}),
  };
}

const isTime = (value: unknown): value is number => typeof value === "number" && Math.abs(value) <= 8.64e12;
const namesIn = (value: unknown): string[] =>
  Array.isArray(value) ? value.filter((name) => typeof name === "string").slice(0, maxNames) : [];
const isSample = (value: unknown): value is GroupSample =>
  typeof value === "object" &&
  value !== null &&
  ["id", "class", "message"].every((name) => typeof (value as Record<string, unknown>)[name] === "string");

/** As one may look at it. */
export function groupAbout(stored: StoredAbout | undefined): GroupAbout {
  const { first = 0, last = 0, types = [], reasons = [], builds = [], sample } = stored ?? {};
  return { firstSeenAtMs: first * 1_000, lastSeenAtMs: last * 1_000, types, reasons, builds, sample };
}
