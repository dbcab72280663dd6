import { maxDocuments, type StoredDocument } from "../../broker/documents.js";
import { type Desk, failed, forgetDocuments } from "../desk.js";

/** Names of the queues in which a redrive has tasks are kept in documents of their own: there may be thousands. */
const kind = "redrive-queues";
/** UTF-8 bytes of a page's JSON, so that a document has room for it. */
const pageBytes = 32_768;
/** So many pages of redrives that are over are kept: as many again have room beside them, of those that are not. */
export const keepPages = maxDocuments / 2;
/** Each has keys of its own in each of them, and is looked at in each. */
export const maxQueues = 50_000;

const idOf = (redrive: string, page: number) => `${redrive}/${page}`;
const bytesOf = (name: string) => Buffer.byteLength(JSON.stringify(name)) + 1;

/** The names in the first so many pages of a redrive. */
export async function readQueues({ store }: Desk, redrive: string, pages: number): Promise<string[]> {
  const ids = Array.from({ length: pages }, (_, page) => idOf(redrive, page));
  const found = await store.readDocuments(kind, ids);
  return [...new Set(found.flatMap(({ value }) => namesIn(value)))];
}

/**
 * Adds names behind the others, to whatever pages there are by now: somebody else may have added some, and none of theirs is
 * written over. Answers how many pages there are, "full" where there is no room for all. Who dies half-way leaves names too
 * many, which harm nothing.
 */
export async function addQueues(
  desk: Desk,
  redrive: string,
  pages: number,
  names: readonly string[],
): Promise<number | "full"> {
  const { store, nowMs } = desk;
  let page = Math.max(0, pages - 1);
  let left = names;
  for (let tries = 1; tries <= mostTries; tries += 1) {
    const found = await pagesFrom(desk, redrive, page);
    page += Math.max(0, found.length - 1);
    let last = found.at(-1);
    while (left.length > 0) {
      const there = namesIn(last?.value);
      const fitting = thatFit(there, left);
      const write = { id: idOf(redrive, page), value: [...there, ...fitting], ifVersion: last?.version ?? 0 };
      const [receipt] = fitting.length === 0 ? [] : await store.writeDocuments(kind, [write], nowMs());
      if (receipt?.status === "full") return "full";
      if (receipt?.status === "conflict") break;
      left = left.slice(fitting.length);
      if (left.length > 0) page += 1;
      last = undefined;
    }
    if (left.length === 0) return page + 1;
  }
  throw failed(desk, `the queues of redrive ${redrive} cannot be written`);
}

/** This page and those behind it, for as long as there is one after the other. */
async function pagesFrom({ store }: Desk, redrive: string, first: number): Promise<StoredDocument[]> {
  const all: StoredDocument[] = [];
  for (;;) {
    const ids = Array.from({ length: pagesAtOnce }, (_, n) => idOf(redrive, first + all.length + n));
    const found = new Map((await store.readDocuments(kind, ids)).map((one) => [one.id, one]));
    const gap = ids.findIndex((id) => !found.has(id));
    all.push(...ids.slice(0, gap === -1 ? ids.length : gap).map((id) => found.get(id)!));
    if (gap !== -1) return all;
  }
}

/** Of redrives that are forgotten, also those pages of which its document knew nothing yet when their writer died. */
export async function forgetQueues(desk: Desk, redrive: string, pages: number): Promise<void> {
  const ids = Array.from({ length: pages }, (_, page) => idOf(redrive, page));
  const found = [...(await desk.store.readDocuments(kind, ids)), ...(await pagesFrom(desk, redrive, pages))];
  await forgetDocuments(desk, kind, found);
}

const mostTries = 10;
const pagesAtOnce = 8;

/** As many of the first as there is room for on a page; on an empty one there is for one of any length. */
function thatFit(there: readonly string[], names: readonly string[]): readonly string[] {
  let bytes = there.reduce((sum, name) => sum + bytesOf(name), 0);
  for (const [n, name] of names.entries()) {
    bytes += bytesOf(name);
    if (bytes > pageBytes && there.length + n > 0) return names.slice(0, n);
  }
  return names;
}

/** Anyone may have written there. */
const namesIn = (value: unknown): string[] =>
  Array.isArray(value) ? value.filter((name): name is string => typeof name === "string") : [];
