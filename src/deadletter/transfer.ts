import type { TaskRef } from "../broker/broker.js";
import type { StoredLetter } from "../broker/stored-letter.js";
import { HoldfastError, invalidOption, shown } from "../core/errors.js";
import type { TaskInfo } from "../core/info.js";
import { portions } from "../core/portions.js";
import { type ByOptions } from "../inspector/options.js";
import type { Desk } from "./desk.js";
import { parseRecord, recordLine } from "./record.js";

/** So many are read at a time: each may have a payload of a megabyte. */
const readAtOnce = 50;
/** One step of an import: so many, or so many bytes. */
const stepLetters = 500;
const stepBytes = 4 * 1_048_576;
/** Lines of which is told what was wrong with them. */
const mostProblems = 20;

/** The dead letters among these tasks as lines of JSON; what has gone since, or is none, is left out. */
export async function* records(
  { store }: Desk,
  pages: AsyncIterable<readonly TaskRef[]> | Iterable<readonly TaskRef[]>,
): AsyncGenerator<string, void> {
  for await (const page of pages) {
    for (const some of portions(page, readAtOnce)) {
      const refs = some.map(({ queue, id }) => ({ queue, id }));
      for (const letter of await store.readLetters(refs)) if (letter !== undefined) yield recordLine(letter);
    }
  }
}

/** How far an import has come. */
export interface ImportProgress {
  /** Lines that were read, blank ones left out. */
  readonly lines: number;
  /** Put back as dead letters of their queues. */
  readonly imported: number;
  /** There already, and left as they are. */
  readonly existing: number;
  /** Lines that are no dead letter. */
  readonly invalid: number;
}

export interface ImportResult extends ImportProgress {
  /** Of the first lines that are none; the first line is 1. */
  readonly problems: readonly { readonly line: number; readonly problem: string }[];
  /** It was stopped by its signal before its end. */
  readonly stopped: boolean;
}

export interface ImportOptions extends ByOptions {
  /** Stops between two steps. */
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: ImportProgress) => void) | undefined;
}

/** @throws OPTION_INVALID BULK_INTERRUPTED, with what was done before */
export async function importRecords(
  { store, act, nowMs }: Desk,
  lines: AsyncIterable<string> | Iterable<string>,
  { signal, onProgress, ...given }: ImportOptions = {},
): Promise<ImportResult> {
  if (typeof lines !== "object" || lines === null || typeof lines === "string")
    throw invalidOption("import.lines", `must be lines one can iterate over, got ${shown(lines)}`);
  const by = act(given, "import");
  const done = { lines: 0, imported: 0, existing: 0, invalid: 0 };
  const problems: { line: number; problem: string }[] = [];
  let waiting: StoredLetter[] = [];
  let bytes = 0;
  const step = async () => {
    const letters = waiting;
    waiting = [];
    bytes = 0;
    if (letters.length === 0) return;
    try {
      const receipts = await store.adoptLetters(letters, by, nowMs());
      const imported = receipts.filter((one) => one === "adopted").length;
      done.imported += imported;
      done.existing += receipts.length - imported;
    } catch (cause) {
      const moved = done.imported;
      if (moved + done.existing === 0) throw cause;
      const far = { moved, skipped: done.existing, scanned: moved + done.existing, total: done.lines };
      const data = { queue: letters[0]!.queue, to: "archived", ...far, requestId: by.requestId };
      throw new HoldfastError("BULK_INTERRUPTED", data, { cause });
    }
    onProgress?.({ ...done });
  };
  let number = 0;
  for await (const line of lines) {
    if (signal?.aborted === true) break;
    number += 1;
    if (line.trim() === "") continue;
    done.lines += 1;
    const letter = parseRecord(line);
    if ("problem" in letter) {
      done.invalid += 1;
      if (problems.length < mostProblems) problems.push({ line: number, problem: letter.problem });
      continue;
    }
    waiting.push(letter);
    bytes += line.length;
    if (waiting.length >= stepLetters || bytes >= stepBytes) await step();
  }
  const stopped = signal?.aborted === true;
  if (!stopped) await step();
  return { ...done, problems, stopped };
}

/** The pages of a search, for what takes tasks page by page. */
export async function* itemsOf(pages: AsyncIterable<{ readonly items: readonly TaskInfo[] }>) {
  for await (const { items } of pages) yield items;
}
