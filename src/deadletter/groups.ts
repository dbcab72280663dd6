import { type GroupAbout, maxNames, type QueueGroup, type QueueGroups } from "../broker/failure-groups.js";
import { HoldfastError, invalidOption, shown } from "../core/errors.js";
import { type Fingerprint, isFingerprint } from "../core/fingerprint.js";
import { groupedBy } from "../core/grouped-by.js";
import type { Page, TaskInfo } from "../core/info.js";
import { maxMessageChars } from "../core/outcome.js";
import { scrub } from "../core/scrub.js";
import { type ListOptions, listOptions, queueNames } from "../inspector/options.js";
import { bringUpToDate } from "./bring-up-to-date.js";
import type { Desk } from "./desk.js";
import { type GroupState, type GroupStatus, groupStatuses, statesIn, statusOf, untouched } from "./group-state.js";

/** Dead letters of one cause, in all queues. */
export interface FailureGroup extends Omit<GroupAbout, "sample"> {
  readonly fingerprint: Fingerprint;
  readonly status: GroupStatus;
  readonly count: number;
  /** How many of them died within the last hour, and in the hour before: whether it grows. */
  readonly lastHour: number;
  readonly hourBefore: number;
  /** When the oldest that is there died, Unix ms. */
  readonly oldestAtMs: number | undefined;
  /** With most first. */
  readonly queues: readonly { readonly name: string; readonly count: number }[];
  /** The last one that came; it may be gone. */
  readonly sample:
    | { readonly queue: string; readonly id: string; readonly class: string; readonly message: string }
    | undefined;
  /** What people said of it. */
  readonly state: GroupState;
}

export interface FailureGroups {
  /** What regressed first, then what is open, …, resolved last; then what died most of within the hour; then by count. */
  readonly groups: readonly FailureGroup[];
  /** Dead letters that are in no group yet: look again in a moment. */
  readonly unindexed: number;
}

export interface GroupsOptions {
  /** Default: all. */
  readonly queues?: readonly string[];
  /** Default: all that have dead letters. With statuses given also those that have none any more. */
  readonly status?: GroupStatus | readonly GroupStatus[];
}

/** @throws OPTION_INVALID */
export async function groups(desk: Desk, options: GroupsOptions = {}): Promise<FailureGroups> {
  const statuses = statusesOf(options.status);
  const { found, states, unindexed } = await look(desk, options.queues);
  const nowMs = desk.nowMs();
  const all = Array.from(found, ([fingerprint, parts]) => groupOf(fingerprint, parts, states.get(fingerprint), nowMs));
  if (options.queues === undefined)
    for (const [fingerprint, state] of states)
      if (!found.has(fingerprint)) all.push(groupOf(fingerprint, [], state, nowMs));
  const wanted = all.filter(({ status, count }) => (statuses === undefined ? count > 0 : statuses.has(status)));
  return { groups: wanted.toSorted(urgentFirst), unindexed };
}

/** @throws GROUP_NOT_FOUND where nobody has seen or said anything of that cause */
export async function group(desk: Desk, given: string): Promise<FailureGroup> {
  const fingerprint = fingerprintIn(given, "group.fingerprint");
  const { found, states } = await look(desk);
  return found.has(fingerprint) || states.has(fingerprint)
    ? groupOf(fingerprint, found.get(fingerprint) ?? [], states.get(fingerprint), desk.nowMs())
    : notFound(fingerprint);
}

const notFound = (fingerprint: Fingerprint): never => {
  throw new HoldfastError("GROUP_NOT_FOUND", { fingerprint });
};

/** Queue by queue, the oldest first. A cursor is a queue's number among those that have members, and the place there. */
export async function groupTasks(desk: Desk, given: string, options?: ListOptions): Promise<Page<TaskInfo>> {
  const fingerprint = fingerprintIn(given, "groupTasks.fingerprint");
  const { limit, cursor, backwards } = listOptions(options, "list");
  const names = (await desk.broker.queues(desk.nowMs())).map(({ name }) => name);
  const [from = "", place] = cursor === undefined ? [] : inTwo(cursor);
  const ordered = backwards ? names.toReversed() : names;
  const first = cursor === undefined ? 0 : Math.max(0, ordered.indexOf(from));
  let items: readonly TaskInfo[] = [];
  for (const [n, queue] of ordered.slice(first).entries()) {
    const request = { limit: limit - items.length, cursor: n === 0 ? place : undefined, backwards };
    const page = await desk.store.groupMembers(queue, fingerprint, request);
    items = backwards ? [...page.items, ...items] : [...items, ...page.items];
    const more = backwards ? page.previous : page.next;
    if (more !== undefined) return { items, next: `${queue} ${more}` };
    const following = ordered[first + n + 1];
    if (items.length >= limit && following !== undefined) return { items, next: `${following} ` };
  }
  return { items, next: undefined };
}

/** A queue's name has no space in it, or it is one of another program's: then the place begins at the last two words. */
function inTwo(cursor: string): [queue: string, place: string | undefined] {
  const [, queue, place] = /^(.*?) (-?[\d.einf+]+ .*)?$/s.exec(cursor) ?? [];
  if (queue === undefined)
    throw invalidOption("groupTasks.cursor", `must be one that an answer gave, got ${shown(cursor)}`);
  return [queue, place];
}

/** @throws OPTION_INVALID */
export function fingerprintIn(given: unknown, option: string): Fingerprint {
  if (isFingerprint(given)) return given;
  throw invalidOption(option, `must be "v1:" and 16 hex digits, as groups() tells it, got ${shown(given)}`);
}

function statusesOf(given: GroupsOptions["status"]): ReadonlySet<GroupStatus> | undefined {
  if (given === undefined) return undefined;
  const list: readonly unknown[] = Array.isArray(given) ? given : [given];
  const wrong = list.find((status) => !groupStatuses.includes(status as GroupStatus));
  if (wrong !== undefined)
    throw invalidOption("groups.status", `must be of ${groupStatuses.join(", ")}, got ${shown(wrong)}`);
  return new Set(list as GroupStatus[]);
}

interface Part extends QueueGroup {
  readonly queue: string;
}

async function look(desk: Desk, only?: readonly string[]) {
  const names = only === undefined ? undefined : queueNames(only, "groups.queues");
  const queues = (await desk.broker.queues(desk.nowMs(), names)).map(({ name }) => name);
  await bringUpToDate(desk, queues);
  const [perQueue, documents] = await Promise.all([
    desk.store.failureGroups(queues, desk.nowMs()),
    desk.store.readDocuments("group"),
  ]);
  const parts = perQueue.flatMap(({ queue, groups: ofQueue }) => ofQueue.map((one): Part => ({ ...one, queue })));
  const found = groupedBy(parts, ({ fingerprint }) => fingerprint);
  return { found, states: statesIn(documents), unindexed: sum(perQueue, (one: QueueGroups) => one.unindexed) };
}

function groupOf(
  fingerprint: Fingerprint,
  parts: readonly Part[],
  state: GroupState = untouched,
  nowMs: number,
): FailureGroup {
  const newest = parts.toSorted((a, b) => b.lastSeenAtMs - a.lastSeenAtMs)[0];
  const firsts = parts.map(({ firstSeenAtMs }) => firstSeenAtMs);
  if (state.firstSeenAtMs !== undefined) firsts.push(state.firstSeenAtMs);
  const oldest = parts.flatMap(({ oldestAtMs }) => oldestAtMs ?? []);
  const lastSeenAtMs = newest?.lastSeenAtMs ?? state.lastSeenAtMs ?? 0;
  const sample = newest?.sample ?? state.sample;
  return {
    fingerprint,
    status: statusOf(state, newest?.lastSeenAtMs, nowMs),
    count: sum(parts, ({ count }) => count),
    lastHour: sum(parts, ({ lastHour }) => lastHour),
    hourBefore: sum(parts, ({ hourBefore }) => hourBefore),
    firstSeenAtMs: firsts.length === 0 ? 0 : Math.min(...firsts),
    lastSeenAtMs,
    oldestAtMs: oldest.length === 0 ? undefined : Math.min(...oldest),
    types: names(parts.length === 0 ? [state.types] : parts.map(({ types }) => types)),
    reasons: names(parts.map(({ reasons }) => reasons)),
    builds: names(parts.map(({ builds }) => builds)),
    queues: parts
      .filter(({ count }) => count > 0)
      .map(({ queue, count }) => ({ name: queue, count }))
      .toSorted((a, b) => b.count - a.count),
    sample:
      sample === undefined
        ? undefined
        : { queue: newest?.queue ?? "", ...sample, message: scrub(sample.message, maxMessageChars) },
    state,
  };
}

const names = (lists: readonly (readonly string[])[]) => [...new Set(lists.flat())].slice(0, maxNames);
const sum = <T>(list: readonly T[], of: (one: T) => number) => list.reduce((all, one) => all + of(one), 0);
const urgency: readonly GroupStatus[] = ["regressed", "open", "acknowledged", "snoozed", "resolved"];
const urgentFirst = (a: FailureGroup, b: FailureGroup) =>
  urgency.indexOf(a.status) - urgency.indexOf(b.status) ||
  b.lastHour - a.lastHour ||
  b.count - a.count ||
  b.lastSeenAtMs - a.lastSeenAtMs;
