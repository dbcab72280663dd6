import { createWriteStream, renameSync, rmSync, statSync } from "node:fs";
import { once } from "node:events";
import { Command } from "commander";
import { counted } from "../../core/counting.js";
import { invalidOption } from "../../core/errors.js";
import { shellWord } from "../../core/shell-word.js";
import { queueOption, type StorageFlags, teaching, withStorage } from "../flags.js";
import { note, print } from "../output.js";
import { untilStopped } from "../stopping.js";
import { receiptLines, receiptsExitCode } from "../task/receipts.js";
import { chosen, type ChosenFlags, notDead, whereOption } from "./chosen.js";
import { type OpenedLetters, withDeadLetters } from "./open.js";
import { commandLines } from "../command-lines.js";

interface Flags extends StorageFlags, ChosenFlags {
  readonly markdown?: true;
  readonly payloads?: true;
  readonly title?: string;
  readonly out?: string;
}

export function exportCommand(): Command {
  const command = new Command("export")
    .summary("write dead letters to a file: to keep, or to read")
    .description(
      "Write dead letters, whole, as JSON Lines, which holdfast dlq import puts back; or, with --markdown, an incident for people: causes, timeline, samples.",
    )
    .argument("[QUEUE]", "the queue; one id alone is looked for in all")
    .argument("[ID...]", "ids of dead letters; or give a --where")
    .addOption(queueOption())
    .addOption(whereOption())
    .option("--markdown", "an incident for people, without payloads, scrubbed of what looks like a secret")
    .option("--payloads", "with --markdown: the samples' payloads, too, as they are stored")
    .option("--title <TEXT>", "with --markdown: what it is called")
    .option("--out <FILE>", "where to write it, readable by you alone; else standard output");
  return teaching(
    withStorage(command),
    [
      "holdfast dlq export --where 'queue:billing failed:<1d' --out incident.jsonl",
      "holdfast dlq export --where 'fp:v1:0123456789abcdef' --markdown > incident.md",
      "holdfast dlq import incident.jsonl",
    ],
    "JSON Lines hold payloads. It is a copy: the dead letters stay where they are.",
  ).action(async (first: string | undefined, rest: readonly string[], flags: Flags) => {
    if (flags.payloads === true && flags.markdown !== true)
      throw invalidOption("--payloads", "is for --markdown: JSON Lines hold them anyway");
    await withDeadLetters(flags, async (opened) => {
      const which = await chosen(opened, first === undefined ? rest : [first, ...rest], flags);
      const what = "query" in which ? which.query : which;
      const lacking = "ids" in which ? await notDead(opened, which) : [];
      await untilStopped(async (signal) => {
        const write = writerTo(flags.out);
        try {
          const lines = await (flags.markdown === true
            ? incident(opened, what, flags, signal, write)
            : records(opened, what, signal, write));
          await write.end(!signal.aborted);
          if (flags.out !== undefined && flags.json !== true && !signal.aborted) tell(lines, flags);
          receiptsExitCode(lacking);
          if ("queue" in which) note(...receiptLines(lacking, which.queue, ""));
        } catch (error) {
          await write.end(false);
          throw error;
        }
      });
    });
  });
}

type What = Parameters<OpenedLetters["letters"]["export"]>[0];

async function records({ letters }: OpenedLetters, what: What, signal: AbortSignal, write: Writer): Promise<number> {
  let lines = 0;
  for await (const line of letters.export(what, { signal })) {
    lines += 1;
    if (!(await write.line(line))) break;
  }
  return lines;
}

async function incident({ letters }: OpenedLetters, what: What, flags: Flags, signal: AbortSignal, write: Writer) {
  const { payloads, title } = flags;
  const text = await letters.incident(what, { payloads: payloads === true, signal, title });
  await write.line(text.trimEnd());
  return 0;
}

function tell(lines: number, { out, markdown }: Flags): void {
  if (markdown === true) note(`written to ${out!}`);
  else {
    note(`${counted(lines, "dead letter")} written to ${out!}`);
    note("Put back what is gone since:", ...commandLines(["holdfast dlq import", shellWord(out!)]));
  }
}

interface Writer {
  /** False when nobody reads any more. */
  line(text: string): Promise<boolean>;
  end(whole: boolean): Promise<void>;
}

/** A file has its name when it is whole. */
function writerTo(path: string | undefined): Writer {
  if (path === undefined) return { line: (text) => print(text), end: async () => undefined };
  if (statSync(path, { throwIfNoEntry: false })?.isDirectory() === true)
    throw invalidOption("--out", "is a directory: name a file in it");
  const part = `${path}.part`;
  const file = createWriteStream(part, { mode: 0o600 });
  const failed = once(file, "error").then(([error]) => {
    throw invalidOption("--out", `cannot be written: ${(error as NodeJS.ErrnoException).code}`);
  });
  failed.catch(() => undefined);
  return {
    async line(text) {
      if (!file.write(`${text}\n`)) await Promise.race([once(file, "drain"), failed]);
      return true;
    },
    async end(whole) {
      if (!file.errored) await Promise.race([new Promise<void>((resolve) => file.end(() => resolve())), failed]);
      if (whole) renameSync(part, path);
      else rmSync(part, { force: true });
    },
  };
}
