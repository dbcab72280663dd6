import {
  groupAbout,
  grouped,
  type KnownCause,
  maxGroups,
  maxNames,
  merged,
  overflowGroup,
  type QueueGroup,
  type QueueGroups,
  type StoredAbout,
  storedAbout,
} from "../../broker/failure-groups.js";
import { floorToS } from "../../core/duration.js";
import type { Fingerprint } from "../../core/fingerprint.js";
import type { Page, PageRequest, TaskInfo } from "../../core/info.js";
import { inTrips, portions } from "../../core/portions.js";
import { heed, listOf, numberIn, queueIn, textIn, throwProblems, timeOf } from "../answers.js";
import { maxBytes, maxBytesRead, maxRows } from "../batches.js";
import { groupMembersKey, keysOf, setsOf } from "../keys.js";
import type { Caller, RedisLink, Reply } from "../link.js";
import { pageByScore, pageOfSets } from "../list.js";
import { find } from "../look.js";
import { deadCauses, type DeadIndexRow, deadFresh, deadGroups, deadIndex } from "../scripts.gen.js";
import { share } from "../share.js";

/** Where each call takes one queue only each gets its share of the limit. */
export async function indexDeadLetters(
  link: RedisLink,
  queues: readonly string[],
  limit: number,
  nowMs: number,
  atOnce: boolean,
): Promise<number> {
  const most = Math.min(limit, maxRows);
  if (!link.oneSlotPerCall) return indexSome(link, queues, most, nowMs, atOnce);
  return share(link, queues, most, (node, queue, part) => indexSome(node, [queue], part, nowMs, atOnce));
}

async function indexSome(
  link: Caller,
  queues: readonly string[],
  limit: number,
  nowMs: number,
  atOnce: boolean,
): Promise<number> {
  if (queues.length === 0 || limit <= 0) return 0;
  const head = { nowMs, limit, maxBytes, maxRead: maxBytesRead, atOnce: atOnce ? "1" : "" };
  const [reply] = await link.run([deadFresh(queues.map(keysOf), head)]);
  const [notes, looked, ...flat] = listOf(link.label, reply);
  const problems = heed(link.label, notes, queues);
  const rows = rowsByQueue(link.label, flat, queues);
  const calls = [...rows].map(([queue, ofQueue]) => deadIndex(keysOf(queue), { maxGroups, maxNames }, ofQueue));
  for (const answer of await link.run(calls)) {
    if (Buffer.isBuffer(answer)) problems.push(String(answer));
    else if (typeof answer !== "number") listOf(link.label, answer);
  }
  const count = numberIn(link.label, looked);
  if (count === 0) throwProblems(link.label, problems);
  return count;
}

/** With the first of each group goes what is known of all of them together. */
function rowsByQueue(broker: string, flat: readonly Reply[], queues: readonly string[]): Map<string, DeadIndexRow[]> {
  const rows = new Map<string, DeadIndexRow[]>();
  const abouts = new Map<string, StoredAbout>();
  const first = new Map<string, { queue: string; at: number }>();
  for (let n = 0; n + 4 < flat.length; n += 5) {
    const [number, id, score, failure, bytes] = flat.slice(n, n + 5);
    if (!Buffer.isBuffer(id) || !Buffer.isBuffer(bytes)) continue;
    const queue = queueIn(broker, queues, number);
    const text = textIn(broker, failure);
    const stored = textIn(broker, score);
    const diedAtS = timeOf(stored) / 1_000;
    const { fingerprint, about } = grouped({
      id: String(id),
      diedAtS,
      bytes,
      failure: text === "" ? undefined : text,
    });
    const ofQueue = rows.get(queue) ?? [];
    rows.set(queue, ofQueue);
    const key = `${fingerprint}${queue}`;
    if (!first.has(key)) first.set(key, { queue, at: ofQueue.length });
    abouts.set(key, merged(abouts.get(key), about));
    ofQueue.push({ id, score: stored, fp: fingerprint, about: "" });
  }
  for (const [key, { queue, at }] of first) {
    const ofQueue = rows.get(queue)!;
    ofQueue[at] = { ...ofQueue[at]!, about: JSON.stringify(abouts.get(key)) };
  }
  return rows;
}

/** A queue may have 2,000 groups: with more in one trip, the last answers might come too late. */
const queuesPerTrip = 8;

export async function failureGroups(link: RedisLink, queues: readonly string[], nowMs: number): Promise<QueueGroups[]> {
  const nowS = floorToS(nowMs);
  const head = { hourS: nowS - 3_600, beforeS: nowS - 7_200 };
  const replies = await inTrips(queues, queuesPerTrip, (some) =>
    link.run(some.map((queue) => deadGroups(keysOf(queue), head))),
  );
  return replies.map((reply, at) => {
    const [dead, indexed, ...flat] = listOf(link.label, reply);
    const groups: QueueGroup[] = [];
    for (let n = 0; n + 6 < flat.length; n += 7) groups.push(groupOf(link.label, flat.slice(n, n + 7)));
    const off = numberIn(link.label, dead) - numberIn(link.label, indexed);
    return { queue: queues[at]!, unindexed: Math.max(0, off), groups };
  });
}

function groupOf(
  broker: string,
  [fingerprint, about, count, hour, twoHours, oldest, newest]: readonly Reply[],
): QueueGroup {
  const known = groupAbout(storedAbout(textIn(broker, about)));
  const lastHour = numberIn(broker, hour);
  const [oldestText, newestText] = [textIn(broker, oldest), textIn(broker, newest)];
  return {
    ...known,
    fingerprint: textIn(broker, fingerprint),
    count: numberIn(broker, count),
    lastHour,
    hourBefore: Math.max(0, numberIn(broker, twoHours) - lastHour),
    oldestAtMs: oldestText === "" ? undefined : timeOf(oldestText),
    lastSeenAtMs: Math.max(known.lastSeenAtMs, newestText === "" ? 0 : timeOf(newestText)),
  };
}

export async function knownCauses(link: RedisLink, queue: string, page: PageRequest): Promise<Page<KnownCause>> {
  const { entries, ...places } = await pageByScore(link, setsOf.archived(queue), page);
  const calls = portions(entries, maxRows).map((rows) => deadCauses(keysOf(queue), {}, rows));
  const groups = (await link.run(calls)).flatMap((reply) => listOf(link.label, reply));
  const items = entries.map(({ id }, at) => {
    const fingerprint = textIn(link.label, groups[at]);
    return { id, fingerprint: fingerprint === "" || fingerprint === overflowGroup ? undefined : fingerprint };
  });
  return { items, ...places };
}

export async function groupMembers(
  link: RedisLink,
  queue: string,
  fingerprint: Fingerprint,
  page: PageRequest,
): Promise<Page<TaskInfo>> {
  const { ids, next, previous } = await pageOfSets(link, [groupMembersKey(queue, fingerprint)], page);
  const tasks = await find(
    link,
    ids.map((id) => ({ queue, id })),
    { whole: false },
  );
  const items = tasks.filter((task): task is TaskInfo => task?.state === "archived");
  return { items, next, previous };
}
