import { count, counted } from "../../core/counting.js";
import type { LettersDone } from "../../deadletter/index.js";
import { conflictExitCode } from "../exit-codes.js";
import { note, print, printJson } from "../output.js";
import { ProgressLine } from "../progress-line.js";
import { untilStopped } from "../stopping.js";
import { receiptLines, receiptsExitCode } from "../task/receipts.js";
import { type Chosen, hitsByQueue } from "./chosen.js";
import type { OpenedLetters } from "./open.js";

/** What one command does with the dead letters that were chosen. */
export interface Acting {
  /** "discarded": said of what was done. */
  readonly word: string;
  /** Receipts of what was done. */
  readonly good: readonly string[];
  readonly act: (selection: {
    readonly queue: string;
    readonly ids: readonly string[];
  }) => Promise<LettersDone<string>>;
  /** What one may want to do next, for people. */
  readonly next?: (chosen: Chosen) => readonly string[];
}

/** By ids each is answered; of a search all it finds are done, step by step, and counted. */
export async function actOnChosen(
  { letters }: OpenedLetters,
  chosen: Chosen,
  flags: { readonly json?: true },
  { word, good, act, next }: Acting,
): Promise<void> {
  if ("ids" in chosen) {
    const { receipts } = await act(chosen);
    const answers = receipts.map(({ id, status }) => ({ id, done: good.includes(status), status }));
    receiptsExitCode(answers);
    if (flags.json === true) await printJson({ queue: chosen.queue, receipts });
    else {
      await print(...receiptLines(answers, chosen.queue, word));
      if (next !== undefined && answers.some(({ done }) => done)) note(...next(chosen));
    }
    return;
  }
  const progress = new ProgressLine(process.stderr, word);
  let moved = 0;
  let skipped = 0;
  const stopped = await untilStopped(async (signal) => {
    try {
      for await (const hits of hitsByQueue(letters, chosen.query, signal)) {
        const { receipts } = await act(hits);
        const done = receipts.filter(({ status }) => good.includes(status)).length;
        moved += done;
        skipped += receipts.length - done;
        const scanned = moved + skipped;
        progress.show({ moved, skipped, scanned, total: scanned });
        if (signal.aborted) break;
      }
      return signal.aborted;
    } finally {
      progress.end();
    }
  });
  if (moved === 0 && skipped > 0) process.exitCode ||= conflictExitCode;
  if (flags.json === true) {
    await printJson({ where: chosen.query, [word]: moved, skipped, calledOff: stopped });
    return;
  }
  const lines = [`${counted(moved, "dead letter")} ${word}`];
  if (skipped > 0) lines.push(`${count(skipped)} skipped: they had moved on meanwhile`);
  if (stopped) lines.push("called off: the rest is untouched; the same command goes on");
  await print(...lines);
  if (next !== undefined && moved > 0) note(...next(chosen));
}

/** How many a search finds now. */
export async function countOf({ letters }: OpenedLetters, query: string): Promise<number> {
  let hits = 0;
  await untilStopped(async (signal) => {
    for await (const page of letters.searchAll(query, { signal })) hits = page.hits;
  });
  return hits;
}
