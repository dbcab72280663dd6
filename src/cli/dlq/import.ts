import { addAbortSignal } from "node:stream";
import { Command } from "commander";
import type { ImportResult } from "../../deadletter/index.js";
import { count, counted } from "../../core/counting.js";
import { encryptionKeys } from "../../core/encryption-key.js";
import { linesOf, linesOfStream } from "../../deadletter/spill-reader.js";
import { conflictExitCode } from "../exit-codes.js";
import { keyFileOption, type KeyFileFlags, keyOf } from "../key-file.js";
import { type ActFlags, teaching, withActing } from "../flags.js";
import { note, print, printJson } from "../output.js";
import { ProgressLine } from "../progress-line.js";
import { untilStopped } from "../stopping.js";
import { actOf } from "../storage.js";
import { withDeadLetters } from "./open.js";

export function importCommand(): Command {
  const command = new Command("import")
    .summary("put dead letters back that were exported or spilled")
    .description(
      "Put dead letters back, each into its queue as it was. What is there already is left alone, so the same file can be imported again.",
    )
    .argument("<FILE>", "JSON Lines, as holdfast dlq export wrote them, or a spill file; - for standard input");
  return teaching(
    withActing(command.addOption(keyFileOption("opens what was sealed"))),
    [
      "holdfast dlq import incident.jsonl --reason 'deleted by mistake'",
      "zcat spilled.jsonl.gz | holdfast dlq import -",
    ],
    "Unique locks are not taken. Exit code 4: some lines are no dead letters.",
  ).action(async (file: string, flags: ActFlags & KeyFileFlags) =>
    withDeadLetters(
      flags,
      async ({ inspector, letters }) => {
        const by = await actOf(flags, inspector);
        const key = keyOf(flags);
        const progress = new ProgressLine(process.stderr, "put back");
        const result = await untilStopped(async (signal) => {
          // Begun only now: a reader that nobody asks yet would lose what comes.
          const lines =
            file === "-"
              ? standardInput(signal)
              : linesOf(file, {
                  keys: key === undefined ? [] : encryptionKeys(key, "--key-file"),
                  onTorn: (bytes) =>
                    note(`The last ${count(bytes)} bytes are torn: what they held is still in storage.`),
                });
          try {
            const onProgress = ({
              imported,
              existing,
              lines: read,
            }: {
              imported: number;
              existing: number;
              lines: number;
            }) => progress.show({ moved: imported, skipped: existing, scanned: imported + existing, total: read });
            return await letters.import(lines, { ...by, signal, onProgress });
          } finally {
            progress.end();
          }
        });
        if (result.invalid > 0 && !result.stopped) process.exitCode = conflictExitCode;
        if (flags.json === true) await printJson(result);
        else await tell(result);
      },
      { mayCreate: true },
    ),
  );
}

/** Its lines, until it ends or somebody calls it off. */
async function* standardInput(signal: AbortSignal): AsyncGenerator<string, void> {
  try {
    yield* linesOfStream(addAbortSignal(signal, process.stdin));
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}

async function tell({ imported, existing, invalid, problems, stopped }: ImportResult): Promise<void> {
  const lines = [`${counted(imported, "dead letter")} put back`];
  if (existing > 0) lines.push(`${count(existing)} were there already, and are as they were`);
  if (invalid > 0) lines.push(`${counted(invalid, "line is", "lines are")} no dead letter:`);
  lines.push(...problems.map(({ line, problem }) => `  line ${count(line)}: ${problem}`));
  if (stopped) lines.push("called off: the same command goes on");
  await print(...lines);
  if (imported > 0) note("See them:  holdfast dlq ls");
}
