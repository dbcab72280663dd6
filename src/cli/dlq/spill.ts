import { Command, Option } from "commander";
import { count } from "../../core/counting.js";
import { invalidOption } from "../../core/errors.js";
import { printable } from "../../core/printable.js";
import { shellWord } from "../../core/shell-word.js";
import { type ActFlags, queueAndRest, queueArgument, queueOption, teaching, withActing } from "../flags.js";
import { keyFileOption, type KeyFileFlags, keyOf } from "../key-file.js";
import { note, print, printJson } from "../output.js";
import { ProgressLine } from "../progress-line.js";
import { untilStopped } from "../stopping.js";
import { actOf } from "../storage.js";
import { receiptLines, receiptsExitCode } from "../task/receipts.js";
import { notDead } from "./chosen.js";
import { withDeadLetters } from "./open.js";
import { commandLines } from "../command-lines.js";

interface SpillFlags extends ActFlags, KeyFileFlags {
  readonly to: string;
  readonly queue?: string;
  readonly type?: string;
  readonly olderThan?: string;
}

export function spillCommand(): Command {
  const command = new Command("spill")
    .summary("move dead letters out of storage, into files")
    .description(
      "Move dead letters of a queue out of storage into files (JSON Lines, gzip): these ids; or all, those of a type, those older than so long. Each leaves storage when it is on the disk.",
    )
    .addArgument(queueArgument())
    .argument("[ID...]", "ids of dead letters; all unless given")
    .addOption(queueOption())
    .addOption(new Option("-t, --type <TYPE>", "those of this type alone"))
    .option("--older-than <DURATION>", "those that died longer ago: 30d")
    .requiredOption("--to <DIRECTORY>", "where to: a directory for this user alone, made when it is missing")
    .addOption(keyFileOption("encrypts them"));
  return teaching(
    withActing(command),
    [
      "holdfast dlq spill orders --older-than 30d --to /var/lib/shop/dead-letters",
      "holdfast dlq spill orders 0190b0e1-… --to ./dead-letters --key-file ./key",
      "zcat ./dead-letters/*.jsonl.gz | jq -r .type | sort | uniq -c",
    ],
    "`holdfast dlq import FILE` brings them back. To do it all the time: `dlq policy set QUEUE --overflow spill`.",
  ).action(async (word: string | undefined, words: readonly string[], flags: SpillFlags) => {
    const [queue, ids] = queueAndRest(flags, [...(word === undefined ? [] : [word]), ...words]);
    const { to: directory, type, olderThan } = flags;
    if (ids.length > 0 && (type !== undefined || olderThan !== undefined))
      throw invalidOption(type === undefined ? "--older-than" : "--type", "cannot be given together with ids");
    await withDeadLetters(flags, async ({ broker, letters, inspector }) => {
      const { counts } = await inspector.queue(queue);
      const selection = (ids.length > 0 ? { queue, ids } : { queue, type, olderThan }) as Parameters<
        typeof letters.spill
      >[0];
      const lacking = await notDead({ broker }, { queue, ids });
      const total = ids.length > 0 ? ids.length : counts.archived;
      const act = await actOf(flags, inspector);
      const line = new ProgressLine(process.stderr, "spilled");
      const done = await untilStopped(async (signal) => {
        const onProgress = (spilled: number) => line.show({ moved: spilled, skipped: 0, scanned: spilled, total });
        return letters.spill(selection, { ...act, directory, key: keyOf(flags), signal, onProgress });
      }).finally(() => line.end());
      receiptsExitCode(lacking);
      if (flags.json === true) return void (await printJson(done));
      const skipped = done.skipped > 0 ? `, ${count(done.skipped)} skipped` : "";
      await print(`${count(done.spilled)} spilled${skipped}`, ...done.files.map((file) => `  ${printable(file)}`));
      note(...receiptLines(lacking, queue, ""));
      if (done.files.length > 0)
        note("To bring them back:", ...commandLines(["holdfast dlq import", shellWord(done.files[0]!)]));
    });
  });
}
