import { asynqBackoff, retryHorizonMs } from "../core/retry.js";
import type { QueueInfo, TaskInfo } from "../core/info.js";
import { type Given, resolve, setting } from "../core/settings.js";
import type { Desk } from "./desk.js";
import { inTurns } from "./in-turns.js";
import { readRedrives } from "./redrive/document.js";
import { added, standingOf } from "./redrive/standing.js";
import { listRules, type Rule } from "./rules/book.js";

export const reviewSettings = {
  days: setting.integer({ default: 7, min: 1, max: 90, says: "how many days are looked back" }),
  sample: setting.integer({
    default: 1_000,
    min: 1,
    max: 10_000,
    says: "the last so many dead letters and completed tasks of each queue are looked at",
  }),
};
export type ReviewOptions = Given<typeof reviewSettings>;

/** What a type's tasks tell: of those that were seen. */
export interface TypeReview {
  readonly type: string;
  readonly dead: number;
  /** Completed tasks are there for as long as their retention: 0 where the type has none. */
  readonly completed: number;
  /** How many of those succeeded at their first attempt, second, …; the last number is of all later ones. */
  readonly byAttempt: readonly number[];
  readonly maxRetry: number;
}

export interface Review {
  readonly fromMs: number;
  readonly toMs: number;
  readonly queues: readonly {
    readonly queue: string;
    readonly dead: number;
    /** Died in that time, and still there. */
    readonly died: number;
    readonly processed: number;
    /** Attempts that failed. */
    readonly failed: number;
  }[];
  /** Of the dead letters that were looked at. */
  readonly acknowledged: { readonly looked: number; readonly count: number; readonly medianMs: number | undefined };
  /** Failure groups that were resolved in that time; from when they were seen first. */
  readonly resolved: { readonly count: number; readonly medianMs: number | undefined };
  readonly redrives: {
    readonly count: number;
    readonly succeeded: number;
    readonly failedAgain: number;
    readonly unknown: number;
  };
  readonly types: readonly TypeReview[];
  readonly staleRules: readonly { readonly name: string; readonly owner: string; readonly why: string }[];
  /** What to change. */
  readonly advice: readonly string[];
  /** What cannot be known from what is kept. */
  readonly unknown: readonly string[];
}

const dayMs = 86_400_000;
const attemptsTold = 10;

/** @throws OPTION_INVALID */
export async function review(desk: Desk, options: ReviewOptions | undefined): Promise<Review> {
  const { days, sample } = resolve(reviewSettings, options, "review");
  const toMs = desk.nowMs();
  const fromMs = toMs - days * dayMs;
  const queues = await desk.broker.queues(toMs);
  const names = queues.map(({ name }) => name);
  const [history, died, rules] = await Promise.all([
    desk.broker.history(names, days, toMs),
    desk.store.diedSince(names, [fromMs]),
    listRules(desk),
  ]);
  const letters = await lastOf(desk, queues, "archived", sample);
  const completed = await lastOf(desk, queues, "completed", sample);
  const types = typesOf(letters, completed);
  const staleRules = staleOf(rules, toMs);
  return {
    fromMs,
    toMs,
    queues: queues.map(({ name, counts }, n) => ({
      queue: name,
      dead: counts.archived,
      died: died[n]![0]!,
      processed: sumOf(history[n]!.map((day) => day.processed)),
      failed: sumOf(history[n]!.map((day) => day.failed)),
    })),
    acknowledged: acknowledgedOf(letters),
    resolved: resolvedOf(
      (await desk.store.readDocuments("group")).map(({ value }) => value),
      fromMs,
    ),
    redrives: await redrivesOf(desk, fromMs),
    types,
    staleRules,
    advice: types.flatMap(adviceOf),
    unknown: unknownOf(types, letters, completed, sample),
  };
}

const sumOf = (numbers: readonly number[]) => numbers.reduce((sum, one) => sum + one, 0);

/** The last of each queue: what counts today is what happened lately. */
async function lastOf(
  { broker }: Desk,
  queues: readonly QueueInfo[],
  state: "archived" | "completed",
  most: number,
): Promise<TaskInfo[]> {
  const found: TaskInfo[] = [];
  for (const { name: queue, counts } of queues) {
    let cursor: string | undefined;
    let left = Math.min(most, counts[state]);
    while (left > 0) {
      const page = await broker.list({ queue, state }, { limit: Math.min(200, left), cursor, backwards: true });
      found.push(...page.items.map(withoutPayload));
      left -= page.items.length;
      cursor = page.previous;
      if (cursor === undefined || page.items.length === 0) break;
    }
  }
  return found;
}

/** Thousands of them are in memory together. */
function withoutPayload(task: TaskInfo): TaskInfo {
  const none = new Uint8Array(0);
  const message = task.message && { ...task.message, payload: none };
  return { ...task, bytes: none, result: undefined, message };
}

function typesOf(letters: readonly TaskInfo[], completed: readonly TaskInfo[]): TypeReview[] {
  const all = new Map<string, { dead: number; completed: number; byAttempt: number[]; maxRetry: number }>();
  const of = ({ message }: TaskInfo) => {
    const type = message?.type ?? "(unreadable)";
    const one = all.get(type) ?? { dead: 0, completed: 0, byAttempt: [], maxRetry: 0 };
    all.set(type, one);
    one.maxRetry = Math.max(one.maxRetry, message?.maxRetry ?? 0);
    return one;
  };
  for (const letter of letters) of(letter).dead += 1;
  for (const task of completed) {
    const one = of(task);
    one.completed += 1;
    const n = Math.min(attemptsTold, task.message?.retried ?? 0);
    while (one.byAttempt.length <= n) one.byAttempt.push(0);
    one.byAttempt[n]! += 1;
  }
  return Array.from(all, ([type, one]) => ({ type, ...one })).toSorted(
    (a, b) => b.dead - a.dead || b.completed - a.completed,
  );
}

/** Fewer say nothing of a policy. */
const enough = 30;

function adviceOf({ type, dead, completed, byAttempt, maxRetry }: TypeReview): string[] {
  const name = JSON.stringify(type);
  if (maxRetry === 0 && dead >= 10)
    return [`type ${name}: ${dead} died at their first failure, for it has no retries (maxRetry 0)`];
  if (completed < enough) return [];
  const wanted = Math.ceil(completed * 0.98);
  let sum = 0;
  const by = byAttempt.findIndex((count) => (sum += count) >= wanted) + 1;
  // The last number is of all later attempts, which says nothing of any of them.
  if (by === 0 || by > attemptsTold || maxRetry < 2 * by + 2) return [];
  const share = Math.floor((sumOf(byAttempt.slice(0, by)) * 100) / completed);
  const horizon = Math.round(
    retryHorizonMs(
      asynqBackoff(() => 0.5),
      type,
      maxRetry,
    ) / dayMs,
  );
  const long = horizon < 1 ? "" : `, over about ${horizon} d with the default back-off`;
  return [
    `type ${name}: ${share} % of the ${completed} that succeeded did so by attempt ${by}. maxRetry ${maxRetry} burns up to ` +
      `${maxRetry + 1 - by} more attempts on what will not${long}: maxRetry ${by + 1} would do`,
  ];
}

function unknownOf(
  types: readonly TypeReview[],
  letters: readonly TaskInfo[],
  completed: readonly TaskInfo[],
  sample: number,
): string[] {
  const silent = types.filter((one) => one.dead > 0 && one.completed === 0).map(({ type }) => JSON.stringify(type));
  return [
    "What was run again, discarded or deleted is no dead letter any more: `died` counts those that are still there.",
    ...(silent.length === 0
      ? []
      : [
          `Success by attempt of ${silent.slice(0, 5).join(", ")}${silent.length > 5 ? " …" : ""}: completed tasks are ` +
            "seen only while their retention lasts, and these have none.",
        ]),
    ...(letters.length + completed.length === 0
      ? []
      : [`Types and times are of the last ${sample} tasks of each queue.`]),
  ];
}

function acknowledgedOf(letters: readonly TaskInfo[]): Review["acknowledged"] {
  const times = letters.flatMap(({ acknowledged, archivedAtMs }) =>
    acknowledged === undefined || archivedAtMs === undefined ? [] : [acknowledged.atMs - archivedAtMs],
  );
  return { looked: letters.length, count: times.length, medianMs: medianOf(times) };
}

/** Whatever is stored there: what is no group says nothing. */
function resolvedOf(groups: readonly unknown[], fromMs: number): Review["resolved"] {
  const times = groups.flatMap((group) => {
    const { resolutions, firstSeenAtMs } = (group ?? {}) as { resolutions?: unknown; firstSeenAtMs?: unknown };
    if (!Array.isArray(resolutions)) return [];
    const ats = resolutions.map((one: unknown) => Number((one as { atMs?: unknown } | null)?.atMs));
    const within = ats.filter((atMs) => atMs >= fromMs);
    return within.map((atMs) => (typeof firstSeenAtMs === "number" ? atMs - firstSeenAtMs : undefined));
  });
  const known = times.filter((time) => time !== undefined);
  return { count: times.length, medianMs: medianOf(known) };
}

function medianOf(times: readonly number[]): number | undefined {
  return times.toSorted((a, b) => a - b)[Math.floor(times.length / 2)];
}

async function redrivesOf(desk: Desk, fromMs: number): Promise<Review["redrives"]> {
  const redrives = (await readRedrives(desk)).filter(({ redrive }) => redrive.createdAtMs >= fromMs);
  const { counts } = added(await inTurns(redrives, (one) => standingOf(desk, one)));
  return {
    count: redrives.length,
    succeeded: counts.succeeded,
    failedAgain: counts.failedSame + counts.failedOther,
    unknown: counts.gone + counts.waiting,
  };
}

function staleOf(rules: readonly Rule[], nowMs: number): Review["staleRules"] {
  return rules.flatMap((rule) => {
    const { name, owner, status, expiresAtMs, lastHitAtMs, createdAtMs } = rule;
    const sinceMs = nowMs - Math.max(lastHitAtMs ?? 0, createdAtMs);
    const why =
      status === "expired"
        ? "it has expired: remove it, or add it anew"
        : status === "unreadable"
          ? "its search cannot be read by this release"
          : sinceMs > 30 * dayMs
            ? `nothing has matched it for ${Math.floor(sinceMs / dayMs)} d`
            : status === "shadow" && nowMs - createdAtMs > 14 * dayMs
              ? "it has been in shadow for more than two weeks: enable it, or remove it"
              : expiresAtMs - nowMs < 7 * dayMs
                ? "it expires within a week"
                : undefined;
    return why === undefined ? [] : [{ name, owner, why }];
  });
}
