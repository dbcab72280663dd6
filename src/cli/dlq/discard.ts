import { Command, Option } from "commander";
import { count } from "../../core/counting.js";
import { invalidOption } from "../../core/errors.js";
import { shellWord } from "../../core/shell-word.js";
import { discardSettings } from "../../deadletter/trash.js";
import { confirmed } from "../confirm.js";
import { type ActFlags, queueOption, teaching, withActing } from "../flags.js";
import { actOf } from "../storage.js";
import { actOnChosen, countOf } from "./acting.js";
import { chosen, type ChosenFlags, whereOption } from "./chosen.js";
import { withDeadLetters } from "./open.js";
import { commandLines } from "../command-lines.js";

interface Flags extends ActFlags, ChosenFlags {
  readonly keep?: string;
  readonly yes?: true;
}

export function discardCommand(): Command {
  const command = new Command("discard")
    .summary("put dead letters into the trash, from which they can be restored")
    .description(
      "Put dead letters into the trash of their queue: they can be restored until --keep is over. Their unique locks are released.",
    )
    .argument("[QUEUE]", "the queue; one id alone is looked for in all")
    .argument("[ID...]", "ids of dead letters; or give a --where")
    .addOption(queueOption())
    .addOption(whereOption())
    .addOption(keepOption())
    .option("-y, --yes", "do not ask");
  return teaching(withActing(command), [
    "holdfast dlq discard billing ID --reason 'a test'",
    "holdfast dlq discard --where 'type:report.* age:>30d' --reason 'too late'",
    "holdfast dlq trash ls billing",
    "holdfast dlq restore billing 0199cc0e-3f2a-7c51-9d0b-6a54a9f3d0c1",
  ]).action(async (first: string | undefined, rest: readonly string[], flags: Flags) => {
    const { reason } = flags;
    if (reason === undefined) throw invalidOption("--reason", "must say why: whoever looks later wants to know");
    await withDeadLetters(flags, async (opened) => {
      const which = await chosen(opened, first === undefined ? rest : [first, ...rest], flags);
      if ("query" in which && flags.yes !== true) {
        const hits = await countOf(opened, which.query);
        await confirmed(`Discard the ${count(hits)} dead letters that the search finds?`, flags);
      }
      const by = { ...(await actOf(flags, opened.inspector)), reason };
      const keep = flags.keep as `${number}d` | undefined;
      await actOnChosen(opened, which, flags, {
        word: "discarded",
        good: ["discarded"],
        act: (selection) => opened.letters.discard(selection, { ...by, keep }),
        next: (of) => [
          `Until ${keep ?? discardSettings.keep.default} are over:`,
          ...commandLines(["holdfast dlq restore", "queue" in of ? shellWord(of.queue) : "QUEUE", "…"]),
        ],
      });
    });
  });
}

function keepOption(): Option {
  const { keep } = discardSettings;
  return new Option("--keep <DURATION>", `${keep.says}; ${keep.default} unless given`).argParser((word) => {
    keep.parse(word, "--keep");
    return word;
  });
}
