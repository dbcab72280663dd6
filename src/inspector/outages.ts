import { changeKinds, type OutageChange, type OutageCounts, type OutageRecord } from "../broker/outage.js";

/** A time in which storage was away, or lost data, as all processes that wrote about it saw it. Counts are of tasks. */
export interface Outage {
  readonly beganAtMs: number;
  /** Undefined while it goes on somewhere, or where a process ended before it did. */
  readonly endedAtMs: number | undefined;
  /** Why calls failed, in the words of the first; "" where none did. */
  readonly problem: string;
  readonly brokers: readonly string[];
  readonly processes: readonly string[];
  /** The sums of all processes; of the delay the longest. */
  readonly counts: OutageCounts;
  /** How the data came back, in the gravest words; undefined: as they were, as far as anybody saw. */
  readonly change: Pick<OutageChange, "kind" | "problem" | "keptUntilMs" | "appendOnly"> | undefined;
  readonly lost: PossiblyLost;
  readonly doubled: PerhapsDoubled;
}

/** What storage had acknowledged, may not have any more, and nobody sends again by himself. */
export interface PossiblyLost {
  /** At most so many. */
  readonly tasks: number;
  /** They are not in storage any more; false: some of them may be there. */
  readonly certain: boolean;
  /** At most so many of those had been finished before. */
  readonly finished: number;
  /** At most so many more, if the machine of storage lost its power, too. */
  readonly afterPowerCut: number;
  /** Enqueues that threw with the outcome `unknown`: nobody knows whether they are in. */
  readonly unknown: number;
}

/** Runs that may have happened twice. */
export interface PerhapsDoubled {
  readonly tasks: number;
  /** Their outcome came when another worker had been given the task. */
  readonly leaseLost: number;
  /** They had been finished, and the data that came back do not know. */
  readonly finishedBefore: number;
}

/** Processes notice within so long of each other; what comes later is another outage. */
const togetherMs = 60_000;

/** From what processes wrote, the last outage first. */
export function outagesFrom(records: readonly OutageRecord[]): Outage[] {
  const groups: OutageRecord[][] = [];
  for (const record of records.toSorted((a, b) => a.beganAtMs - b.beganAtMs)) {
    const group = groups.findLast((one) => one.some((other) => belongTogether(other, record)));
    if (group === undefined) groups.push([record]);
    else group.push(record);
  }
  return groups.map(outageOf).toSorted((a, b) => b.beganAtMs - a.beganAtMs);
}

/** At the same time, or with the same change: who made no call meanwhile notices it with the next one. */
function belongTogether(earlier: OutageRecord, later: OutageRecord): boolean {
  if (later.beganAtMs <= endOf(earlier) + togetherMs) return true;
  const incarnation = later.change?.incarnation ?? "";
  return incarnation !== "" && incarnation === earlier.change?.incarnation;
}

const endOf = ({ endedAtMs, updatedAtMs }: OutageRecord) => endedAtMs ?? updatedAtMs;

function outageOf(records: readonly OutageRecord[]): Outage {
  const saw = records.filter(({ problem }) => problem !== "");
  const told = saw.length > 0 ? saw : records;
  const over = told.every(({ endedAtMs }) => endedAtMs !== undefined);
  const counts = sumOf(records.map((record) => record.counts));
  const changes = records.flatMap(({ change }) => change ?? []);
  const change = changes.toSorted((a, b) => changeKinds.indexOf(b.kind) - changeKinds.indexOf(a.kind))[0];
  const kept = changes.filter(({ kind }) => kind === change?.kind).map(({ keptUntilMs }) => keptUntilMs);
  return {
    beganAtMs: Math.min(...told.map(({ beganAtMs }) => beganAtMs)),
    endedAtMs: over ? Math.max(...told.map(endOf)) : undefined,
    problem: told[0]!.problem,
    brokers: [...new Set(records.map(({ broker }) => broker))],
    processes: [...new Set(records.map(({ process }) => process))],
    counts,
    change: change && {
      kind: change.kind,
      problem: change.problem,
      appendOnly: change.appendOnly,
      keptUntilMs: kept.includes(undefined) ? undefined : Math.min(...kept.map((ms) => ms!)),
    },
    ...consequences(change?.kind, changes, counts),
  };
}

function consequences(
  kind: OutageChange["kind"] | undefined,
  changes: readonly OutageChange[],
  { unknown, leaseLost }: OutageCounts,
): Pick<Outage, "lost" | "doubled"> {
  const total = (of: (change: OutageChange) => number) =>
    changes.reduce((sum, change) => sum + Math.max(0, of(change)), 0);
  // A file that every write goes into has all but what the disk had not yet, and that only a power cut takes.
  const isSafe = (change: OutageChange) => kind === "restarted" && change.appendOnly;
  const settled = total((change) => (isSafe(change) ? 0 : change.settled));
  const sentAgain = total((change) => (isSafe(change) ? 0 : change.sentAgain));
  const tasks = total((change) => (isSafe(change) ? 0 : change.acknowledged - change.sentAgain));
  // Where nothing came back, nothing runs again but what the spools send.
  const finishedBefore = kind === "other" ? Math.min(sentAgain, settled) : settled;
  return {
    lost: {
      tasks,
      certain: kind === "older" || kind === "other",
      finished: Math.min(tasks, settled),
      afterPowerCut: total((change) => (isSafe(change) ? change.acknowledgedLast - change.sentAgain : 0)),
      unknown,
    },
    doubled: { tasks: leaseLost + finishedBefore, leaseLost, finishedBefore },
  };
}

function sumOf(all: readonly OutageCounts[]): OutageCounts {
  const names = Object.keys(all[0]!) as (keyof OutageCounts)[];
  const sums = names.map((name) => {
    const values = all.map((counts) => counts[name]);
    return [name, name === "longestDelayMs" ? Math.max(...values) : values.reduce((sum, one) => sum + one, 0)];
  });
  return Object.fromEntries(sums) as OutageCounts;
}
