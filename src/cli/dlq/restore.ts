import { Command } from "commander";
import { invalidOption } from "../../core/errors.js";
import { printable } from "../../core/printable.js";
import { type ActFlags, queueAndRest, queueOption, teaching, withActing } from "../flags.js";
import { note, print, printJson } from "../output.js";
import { actOf } from "../storage.js";
import { receiptLines, receiptsExitCode } from "../task/receipts.js";
import { withDeadLetters } from "./open.js";
import { isEmpty, trashedIds } from "./trash.js";

interface Flags extends ActFlags {
  readonly queue?: string;
  readonly all?: true;
}

export function restoreCommand(): Command {
  const command = new Command("restore")
    .summary("bring discarded tasks back among the dead letters")
    .description(
      "Bring discarded tasks back among the dead letters of their queue, with their failure and as old as they were.",
    )
    .argument("[QUEUE]", "the queue")
    .argument("[ID...]", "ids of discarded tasks")
    .addOption(queueOption())
    .option("--all", "all that the trash of the queue holds");
  return teaching(
    withActing(command),
    ["holdfast dlq trash ls billing", "holdfast dlq restore billing ID --reason 'needed'"],
    "A unique lock that would still hold is taken again; where another task has it by now, that is said.",
  ).action(async (first: string | undefined, words: readonly string[], flags: Flags) => {
    const [queue, given] = queueAndRest(flags, first === undefined ? words : [first, ...words]);
    if (given.length === 0 && flags.all !== true)
      throw invalidOption("ID", "which discarded tasks? Give ids, or --all of the queue");
    await withDeadLetters(flags, async ({ inspector, letters }) => {
      const ids = flags.all === true ? await trashedIds(letters, queue) : given;
      if (ids.length === 0 && flags.json !== true) return note(isEmpty);
      const { receipts } = await letters.restore({ queue, ids }, await actOf(flags, inspector));
      const answers = receipts.map(({ id, status }) => ({
        id,
        done: status === "restored" || status === "withoutLock",
        status,
      }));
      receiptsExitCode(answers);
      if (flags.json === true) {
        await printJson({ queue, receipts });
        return;
      }
      await print(...receiptLines(answers, queue, "restored"));
      const without = receipts.filter(({ status }) => status === "withoutLock");
      await print(...without.map(({ id }) => `without its unique lock, which another task has: ${printable(id)}`));
    });
  });
}
