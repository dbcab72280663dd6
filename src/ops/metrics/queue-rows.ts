import { type EvictionCause, evictionCauses } from "../../broker/eviction.js";
import { type TaskState, taskStates } from "../../core/state.js";
import type { Facts, QueueFacts } from "../facts.js";
import type { Trail } from "../trail.js";
import { biggest, type FoldedCounters, other } from "./folded.js";

/** What metrics tell of a queue, or of all that are told together. Undefined: it cannot be told, or not of several. */
export interface QueueRow {
  readonly queue: string;
  readonly counts: Readonly<Record<TaskState, number>>;
  readonly pendingS: number;
  readonly archivedS: number | undefined;
  readonly unacknowledged: number | undefined;
  readonly overdueS: Readonly<Record<"scheduled" | "retry" | "lease", number>>;
  readonly memoryBytes: number | undefined;
  readonly pausedS: number | undefined;
  readonly paused: boolean | undefined;
  readonly consumers: number | undefined;
  readonly headroom: number | undefined;
  readonly processed: number;
  readonly failed: number;
  readonly arrived: number;
  readonly evicted: Readonly<Partial<Record<EvictionCause, number>>>;
}

export interface QueueRows {
  readonly rows: readonly QueueRow[];
  /** Queues that have a row of their own. */
  readonly apart: ReadonlySet<string>;
  readonly folded: number;
}

/** The queues with most to do each by itself, the rest together. */
export function queueRows({ queues, atMs }: Facts, trail: Trail, most: number, counters: FoldedCounters): QueueRows {
  const sizes = new Map(queues.map((one) => [one.info.name, toDo(one)]));
  const apart = biggest(sizes, most);
  const [rows, rest]: [QueueRow[], QueueRow[]] = [[], []];
  for (const queue of queues) {
    const row = rowOf(queue, trail, atMs);
    const own = apart.has(row.queue);
    (own ? rows : rest).push(row);
    for (const [name, value] of countersOf(row)) counters.add(`${name} ${row.queue}`, value, own ? undefined : name);
  }
  return {
    rows: rest.length === 0 ? rows : [...rows, together(rest, counters)],
    apart,
    folded: rest.length,
  };
}

const toDo = ({ info: { counts } }: QueueFacts) => counts.archived + counts.pending + counts.retry;

function rowOf(queue: QueueFacts, trail: Trail, nowMs: number): QueueRow {
  const { info, consumers, memoryBytes, oldestLetter, headroom, evicted } = queue;
  const ago = (atMs: number | undefined) => (atMs === undefined ? undefined : Math.max(0, nowMs - atMs) / 1_000);
  return {
    queue: info.name,
    counts: info.counts,
    pendingS: info.latencyMs / 1_000,
    unacknowledged: oldestLetter?.count,
    archivedS: oldestLetter && (ago(oldestLetter.atMs) ?? 0),
    overdueS: {
      scheduled: ago(info.earliestAtMs?.scheduled) ?? 0,
      retry: ago(info.earliestAtMs?.retry) ?? 0,
      lease: info.counts.active === 0 ? 0 : (ago(info.earliestAtMs?.active) ?? 0),
    },
    memoryBytes,
    paused: info.paused,
    pausedS: info.paused ? ago(info.pause?.atMs) : 0,
    consumers,
    headroom,
    processed: info.processed,
    failed: info.failed,
    arrived: trail.arrived(info.name),
    evicted,
  };
}

/** What is there is summed up, how long something has waited is that of the worst. */
function together(rows: readonly QueueRow[], counters: FoldedCounters): QueueRow {
  const sum = (of: (row: QueueRow) => number) => rows.reduce((all, row) => all + of(row), 0);
  const worst = (of: (row: QueueRow) => number) => rows.reduce((all, row) => Math.max(all, of(row)), 0);
  const memory = rows.some(({ memoryBytes }) => memoryBytes === undefined);
  return {
    queue: other,
    counts: Object.fromEntries(taskStates.map((state) => [state, sum(({ counts }) => counts[state])])) as Record<
      TaskState,
      number
    >,
    pendingS: worst(({ pendingS, paused }) => (paused === true ? 0 : pendingS)),
    unacknowledged: sum(({ unacknowledged = 0 }) => unacknowledged),
    archivedS: worst(({ archivedS = 0 }) => archivedS),
    overdueS: {
      scheduled: worst(({ overdueS }) => overdueS.scheduled),
      retry: worst(({ overdueS }) => overdueS.retry),
      lease: worst(({ overdueS }) => overdueS.lease),
    },
    memoryBytes: memory ? undefined : sum(({ memoryBytes = 0 }) => memoryBytes),
    paused: undefined,
    pausedS: undefined,
    consumers: undefined,
    headroom: undefined,
    processed: counters.sum("processed"),
    failed: counters.sum("failed"),
    arrived: counters.sum("arrived"),
    evicted: Object.fromEntries(evictionCauses.map((cause) => [cause, counters.sum(`evicted ${cause}`)])),
  };
}

/** By names under which they are folded. */
const countersOf = ({ processed, failed, arrived, evicted }: QueueRow): (readonly [string, number])[] => [
  ["processed", processed],
  ["failed", failed],
  ["arrived", arrived],
  ...Object.entries(evicted).map(([cause, value]) => [`evicted ${cause}`, value] as const),
];
