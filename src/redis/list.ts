import type { Page, PageRequest, Selection, TaskInfo } from "../core/info.js";
import { portions } from "../core/portions.js";
import { listOf, numberIn, throwProblems, unreadable } from "./answers.js";
import { activeKey, groupKey, groupsKey, pendingKey, setsOf } from "./keys.js";
import type { RedisLink, Reply } from "./link.js";
import { find, idOf } from "./look.js";
import { line as lineCall, page as pageCall } from "./scripts.gen.js";

type StateSelection = Exclude<Selection, { readonly ids: readonly string[] }>;

/** Where a page is: a cursor is the place right before the entry that it names. */
interface Place {
  readonly cursor: string | undefined;
  readonly backwards: boolean;
  readonly limit: number;
}

/** Some ids in order, and the places before and behind them where there is more. */
interface Ids {
  readonly ids: readonly string[];
  readonly previous: string | undefined;
  readonly next: string | undefined;
}

interface Entries extends Omit<Ids, "ids"> {
  readonly entries: readonly { readonly id: Buffer; readonly cursor: string }[];
}

const idsIn = ({ entries, ...places }: Entries): Ids => ({
  ids: entries.map(({ id }) => idOf(id)).filter((id) => id !== undefined),
  ...places,
});

/** A page is never longer, whatever is asked for. */
const maxPage = 1_000;
/** How far is looked for a type before the page ends, full or not. */
const maxScanned = 5_000;
/** A queue may have any number of groups, and a page of each is read to have one of all. */
const entriesPerCall = 10_000;

export async function list(
  link: RedisLink,
  selection: Selection,
  { limit, cursor, backwards = false }: PageRequest,
): Promise<Page<TaskInfo>> {
  const { queue } = selection;
  const most = Math.max(1, Math.min(limit, maxPage));
  let items: TaskInfo[] = [];
  let previous: string | undefined;
  let next: string | undefined;
  let place = cursor;
  for (let scanned = 0; scanned < maxScanned;) {
    const around = { cursor: place, backwards, limit: most - items.length };
    const page = "ids" in selection ? someOf(selection.ids, around) : await idsOf(link, selection, around);
    const tasks = await find(
      link,
      page.ids.map((id) => ({ queue, id })),
      { whole: false },
    );
    // A task may have moved on since its id was read.
    const found = tasks.filter((task): task is TaskInfo => task !== undefined && fits(task, selection));
    items = backwards ? [...found, ...items] : [...items, ...found];
    if (backwards || scanned === 0) previous = page.previous;
    if (!backwards || scanned === 0) next = page.next;
    scanned += Math.max(1, page.ids.length);
    place = backwards ? previous : next;
    if (place === undefined || items.length >= most) break;
  }
  return { items, next, previous };
}

function fits(task: TaskInfo, selection: Selection): boolean {
  if ("ids" in selection) return true;
  return task.state === selection.state && (selection.type === undefined || task.message?.type === selection.type);
}

function someOf(ids: readonly string[], { cursor, backwards, limit }: Place): Ids {
  const at = cursor === undefined ? (backwards ? ids.length : 0) : Number(cursor);
  const first = backwards ? Math.max(0, at - limit) : at;
  const end = backwards ? at : at + limit;
  return {
    ids: ids.slice(first, end),
    previous: first > 0 ? String(first) : undefined,
    next: end < ids.length ? String(end) : undefined,
  };
}

async function idsOf(link: RedisLink, selection: StateSelection, place: Place): Promise<Ids> {
  const { queue, state } = selection;
  switch (state) {
    case "pending":
      return fromTail(link, pendingKey(queue), place);
    case "active":
      return fromTail(link, activeKey(queue), place);
    case "aggregating":
      return byScore(link, await groupsOf(link, queue, selection.group), place);
    case "scheduled":
    case "retry":
    case "archived":
    case "completed":
      return byScore(link, setsOf[state](queue), place);
  }
  state satisfies never;
  return { ids: [], previous: undefined, next: undefined };
}

async function groupsOf(link: RedisLink, queue: string, group: string | undefined): Promise<string[]> {
  if (group !== undefined) return [groupKey(queue, group)];
  const [members] = await link.run([{ name: "SMEMBERS", args: [groupsKey(queue)] }]);
  return listOf(link.label, members).map((name) => groupKey(queue, String(name)));
}

/** From a list's tail on. A cursor is an id, and how far from the tail it was, so that it is found again quickly. */
async function fromTail(link: RedisLink, key: string, { cursor, backwards, limit }: Place): Promise<Ids> {
  const [near, id] = cursor === undefined ? ["0", Buffer.of()] : inTwo(cursor);
  const [reply] = await link.run([
    lineCall(
      { list: key },
      { id, near: Math.max(0, Math.trunc(Number(near)) || 0), limit, backwards: flag(backwards) },
    ),
  ]);
  if (Buffer.isBuffer(reply)) throwProblems(link.label, [String(reply)]);
  const [from, rest, ids] = listOf(link.label, reply);
  const first = numberIn(link.label, from);
  const entries = buffersOf(link.label, ids).map((entry, n) => ({ id: entry, cursor: cursorOf(first + n, entry) }));
  return idsIn(paged(entries, rest === 1, { cursor, backwards, limit }));
}

/** A page of the ids in sorted sets, as `list` has them. */
export async function pageOfSets(
  link: RedisLink,
  keys: readonly string[],
  { limit, cursor, backwards = false }: PageRequest,
): Promise<Ids> {
  return byScore(link, keys, { limit: Math.max(1, Math.min(limit, maxPage)), cursor, backwards });
}

/**
 * By score, and by id where scores are equal, over one sorted set or several as if they were one. A cursor is an entry's
 * score and id, so that it holds also when that entry has moved on.
 */
async function byScore(link: RedisLink, keys: readonly string[], place: Place): Promise<Ids> {
  if (keys.length === 0) return { ids: [], previous: undefined, next: undefined };
  return idsIn(await entriesByScore(link, keys, place));
}

/** The same, with the scores. */
export async function pageByScore(
  link: RedisLink,
  keys: readonly string[],
  { limit, cursor, backwards = false }: PageRequest,
): Promise<{
  readonly entries: readonly { readonly id: string; readonly score: string }[];
  readonly next: string | undefined;
  readonly previous: string | undefined;
}> {
  const place = { cursor, backwards, limit: Math.max(1, Math.min(limit, maxPage)) };
  const { entries, ...places } = await entriesByScore(link, keys, place);
  const named = entries.flatMap(({ id, cursor: at }) => {
    const text = idOf(id);
    return text === undefined ? [] : [{ id: text, score: inTwo(at)[0] }];
  });
  return { entries: named, ...places };
}

async function entriesByScore(
  link: RedisLink,
  keys: readonly string[],
  { cursor, backwards, limit }: Place,
): Promise<Entries> {
  const [score, id] = cursor === undefined ? ["", Buffer.of()] : inTwo(cursor);
  const head = { score: Number.isNaN(scoreOf(score)) ? "0" : score, id, limit, backwards: flag(backwards) };
  const setsPerCall = Math.max(1, Math.floor(entriesPerCall / limit));
  const calls = portions(keys, setsPerCall).map((some) =>
    pageCall(
      some.map((set) => ({ set })),
      head,
    ),
  );
  const answers = (await link.run(calls)).flatMap((reply) => listOf(link.label, reply));
  throwProblems(link.label, answers.filter((answer) => Buffer.isBuffer(answer)).map(String));
  const windows = answers.map((answer) => listOf(link.label, answer));
  const entries = windows.flatMap(([, flat]) => entriesOf(buffersOf(link.label, flat))).toSorted(inOrder);
  const rest = windows.some(([more]) => more === 1);
  return paged(entries, rest, { cursor, backwards, limit });
}

/**
 * The page in entries that begin at the place, or end there, in order; `rest`: there are some on its other side, too.
 */
function paged(
  entries: readonly { readonly id: Buffer; readonly cursor: string }[],
  rest: boolean,
  { cursor, backwards, limit }: Place,
): Entries {
  const page = backwards ? entries.slice(-limit) : entries.slice(0, limit);
  const other = rest ? cursor : undefined;
  const more = entries.length > limit;
  return {
    entries: page,
    previous: backwards ? (more ? page[0]?.cursor : undefined) : other,
    next: backwards ? other : more ? entries[limit]?.cursor : undefined,
  };
}

function buffersOf(broker: string, reply: Reply | undefined): readonly Buffer[] {
  return listOf(broker, reply).map((entry) => {
    if (!Buffer.isBuffer(entry)) throw unreadable(broker);
    return entry;
  });
}

interface Entry {
  readonly score: number;
  readonly id: Buffer;
  readonly cursor: string;
}

function entriesOf(flat: readonly Buffer[]): Entry[] {
  const entries: Entry[] = [];
  for (let n = 0; n + 1 < flat.length; n += 2) {
    const id = flat[n]!;
    const score = String(flat[n + 1]);
    entries.push({ id, score: scoreOf(score), cursor: cursorOf(score, id) });
  }
  return entries;
}

/** Redis writes "inf", and anybody may write one to Redis. */
const scoreOf = (text: string) => (text === "" ? Number.NaN : Number(text.replace("inf", "Infinity")));

const inOrder = (a: Entry, b: Entry) => (a.score === b.score ? Buffer.compare(a.id, b.id) : a.score < b.score ? -1 : 1);

/** An id need not be text, and must come back as it was. */
const cursorOf = (place: string | number, id: Buffer) => `${place} ${id.toString("latin1")}`;

function inTwo(cursor: string): [string, Buffer] {
  const space = cursor.indexOf(" ");
  return [cursor.slice(0, space), Buffer.from(cursor.slice(space + 1), "latin1")];
}

const flag = (on: boolean) => (on ? 1 : 0);
