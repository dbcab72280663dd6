import { HoldfastError } from "../../core/errors.js";
import type { Desk } from "../desk.js";

/** Names of the queues in which a redrive has tasks are kept in documents of their own: there may be thousands. */
const kind = "redrive-queues";
/** UTF-8 bytes of a page's JSON, so that a document has room for it. */
const pageBytes = 32_768;
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

/** Adds names behind the others. Answers how many pages there are. Who dies half-way leaves names too many, which harm nothing. */
export async function addQueues(desk: Desk, redrive: string, pages: number, names: readonly string[]): Promise<number> {
  const { store, nowMs } = desk;
  const first = Math.max(0, pages - 1);
  for (let tries = 1; tries <= mostTries; tries += 1) {
    const [last] = await store.readDocuments(kind, [idOf(redrive, first)]);
    const added = pagesOf(namesIn(last?.value), names);
    const ids = added.map((_, n) => idOf(redrive, first + n));
    const others = ids.length === 1 ? [] : await store.readDocuments(kind, ids.slice(1));
    const versions = new Map([last ?? [], others].flat().map(({ id, version }) => [id, version]));
    const writes = added.map((value, n) => ({ id: ids[n]!, value, ifVersion: versions.get(ids[n]!) ?? 0 }));
    const receipts = await store.writeDocuments(kind, writes, nowMs());
    if (receipts.every(({ status }) => status === "written")) return first + added.length;
  }
  const problem = `the queues of redrive ${redrive} cannot be written`;
  throw new HoldfastError("BROKER_FAILED", { broker: desk.broker.label, problem });
}

/** Of redrives that are forgotten. */
export async function forgetQueues({ store, nowMs }: Desk, redrive: string, pages: number): Promise<void> {
  const ids = Array.from({ length: pages }, (_, page) => idOf(redrive, page));
  const found = await store.readDocuments(kind, ids);
  const writes = found.map(({ id, version }) => ({ id, value: undefined, ifVersion: version }));
  if (writes.length > 0) await store.writeDocuments(kind, writes, nowMs());
}

const mostTries = 10;

function pagesOf(begun: readonly string[], names: readonly string[]): string[][] {
  const pages = [[...begun]];
  let bytes = begun.reduce((sum, name) => sum + bytesOf(name), 0);
  for (const name of names) {
    if (bytes + bytesOf(name) > pageBytes && bytes > 0) {
      pages.push([]);
      bytes = 0;
    }
    pages.at(-1)!.push(name);
    bytes += bytesOf(name);
  }
  return pages;
}

/** Anyone may have written there. */
const namesIn = (value: unknown): string[] =>
  Array.isArray(value) ? value.filter((name): name is string => typeof name === "string") : [];
