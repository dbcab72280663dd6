import type { Page, PageRequest, Selection, TaskInfo } from "../core/info.js";
import { idOf, find } from "./look.js";
import { listOf } from "./answers.js";
import { activeKey, groupKey, groupsKey, pendingKey, setsOf } from "./keys.js";
import { LinkError, type RedisLink, type Reply } from "./link.js";

type StateSelection = Exclude<Selection, { readonly ids: readonly string[] }>;

/** Some ids in order, and the cursor to what follows them. */
interface Ids {
  readonly ids: readonly string[];
  readonly next: string | undefined;
}

/** A page is never longer, whatever is asked for. */
const maxPage = 1_000;
/** How far is looked for a type before the page ends, full or not. */
const maxScanned = 5_000;

export async function list(
  link: RedisLink,
  selection: Selection,
  { limit, cursor }: PageRequest,
): Promise<Page<TaskInfo>> {
  const { queue } = selection;
  const most = Math.max(1, Math.min(limit, maxPage));
  const items: TaskInfo[] = [];
  let next = cursor;
  for (let scanned = 0; scanned < maxScanned;) {
    const page =
      "ids" in selection ? someOf(selection.ids, next, most) : await idsOf(link, selection, next, most - items.length);
    const tasks = await find(
      link,
      page.ids.map((id) => ({ queue, id })),
    );
    // A task may have moved on since its id was read.
    items.push(...tasks.filter((task): task is TaskInfo => task !== undefined && fits(task, selection)));
    scanned += page.ids.length;
    next = page.next;
    if (next === undefined || items.length >= most) break;
  }
  return { items, next };
}

function fits(task: TaskInfo, selection: Selection): boolean {
  if ("ids" in selection) return true;
  return task.state === selection.state && (selection.type === undefined || task.message?.type === selection.type);
}

function someOf(ids: readonly string[], after: string | undefined, limit: number): Ids {
  const start = Number(after ?? 0);
  return { ids: ids.slice(start, start + limit), next: start + limit < ids.length ? String(start + limit) : undefined };
}

async function idsOf(
  link: RedisLink,
  selection: StateSelection,
  after: string | undefined,
  limit: number,
): Promise<Ids> {
  const { queue, state } = selection;
  switch (state) {
    case "pending":
      return fromTail(link, pendingKey(queue), after, limit);
    case "active":
      return fromTail(link, activeKey(queue), after, limit);
    case "aggregating":
      return byScore(link, await groupsOf(link, queue, selection.group), after, limit);
    case "scheduled":
    case "retry":
    case "archived":
    case "completed":
      return byScore(link, setsOf[state](queue), after, limit);
  }
  state satisfies never;
  return { ids: [], next: undefined };
}

async function groupsOf(link: RedisLink, queue: string, group: string | undefined): Promise<string[]> {
  if (group !== undefined) return [groupKey(queue, group)];
  const [members] = await link.run([{ name: "SMEMBERS", args: [groupsKey(queue)] }]);
  return listOf(link.label, members).map((name) => groupKey(queue, String(name)));
}

/**
 * From a list's tail on. The cursor is the last id that was told: where it is now, the next page starts. When it has
 * left the list, so has all before it, and the next page starts at the tail.
 */
async function fromTail(link: RedisLink, key: string, after: string | undefined, limit: number): Promise<Ids> {
  const [length, position] = await link.run([
    { name: "LLEN", args: [key] },
    { name: "LPOS", args: [key, after ?? "", "RANK", -1] },
  ]);
  if (length instanceof LinkError) throw length.toError(link.label);
  const stop = typeof position === "number" ? position - 1 : -1;
  if (typeof position === "number" && position === 0) return { ids: [], next: undefined };
  const start = stop < 0 ? -limit : Math.max(0, stop - limit + 1);
  const [window] = await link.run([{ name: "LRANGE", args: [key, start, stop] }]);
  const ids = listOf(link.label, window).toReversed() as Buffer[];
  const more = stop < 0 ? Number(length) > ids.length : start > 0;
  return { ids: texts(ids), next: more ? String(ids.at(-1)) : undefined };
}

interface Entry {
  readonly score: number;
  readonly id: Buffer;
}

/**
 * By score, and by id where scores are equal, over one sorted set or several as if they were one. The cursor is the last
 * entry's score and id, so that it holds also when that entry has moved on.
 */
async function byScore(
  link: RedisLink,
  keys: readonly string[],
  after: string | undefined,
  limit: number,
): Promise<Ids> {
  const cursor = after === undefined ? undefined : cursorOf(after);
  const starts = await startsIn(link, keys, cursor);
  const replies = await link.run(
    keys.map((key, n) => ({ name: "ZRANGE", args: [key, starts[n]!, starts[n]! + limit, "WITHSCORES"] })),
  );
  const entries = replies
    .flatMap((reply) => entriesOf(listOf(link.label, reply)))
    .filter((entry) => cursor === undefined || inOrder(cursor, entry) < 0)
    .toSorted(inOrder);
  const page = entries.slice(0, limit);
  const last = page.at(-1);
  return {
    ids: texts(page.map(({ id }) => id)),
    next: last !== undefined && entries.length > limit ? `${last.score} ${String(last.id)}` : undefined,
  };
}

/** From which rank each set is to be read: behind the cursor's entry, or where its score begins. */
async function startsIn(link: RedisLink, keys: readonly string[], cursor: Entry | undefined): Promise<number[]> {
  if (cursor === undefined) return keys.map(() => 0);
  const { score, id } = cursor;
  const replies = await link.run(
    keys.flatMap((key) => [
      { name: "ZSCORE", args: [key, id] },
      { name: "ZRANK", args: [key, id] },
      { name: "ZCOUNT", args: [key, "-inf", `(${score}`] },
    ]),
  );
  return keys.map((_, n) => {
    const [scoreNow, rank, before] = replies.slice(n * 3, n * 3 + 3);
    const there = Buffer.isBuffer(scoreNow) && Number(String(scoreNow)) === score;
    return there ? Number(rank) + 1 : Number(before) || 0;
  });
}

function entriesOf(flat: readonly Reply[]): Entry[] {
  const entries: Entry[] = [];
  for (let n = 0; n < flat.length; n += 2) entries.push({ id: flat[n] as Buffer, score: Number(String(flat[n + 1])) });
  return entries;
}

const inOrder = (a: Entry, b: Entry) => a.score - b.score || Buffer.compare(a.id, b.id);

function cursorOf(after: string): Entry {
  const space = after.indexOf(" ");
  return { score: Number(after.slice(0, space)) || 0, id: Buffer.from(after.slice(space + 1)) };
}

const texts = (ids: readonly Buffer[]): string[] => ids.map(idOf).filter((id) => id !== undefined);
