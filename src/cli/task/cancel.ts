import { Command } from "commander";
import { invalidOption } from "../../core/errors.js";
import { type ActFlags, queueAndRest, queueOption, teaching, withActing } from "../flags.js";
import { print, printJson } from "../output.js";
import { actOf, withStorageOpen } from "../storage.js";
import { receiptLines, receiptsExitCode } from "./receipts.js";

interface Flags extends ActFlags {
  readonly queue?: string;
  readonly archive?: true;
}

export function cancelCommand(): Command {
  const command = new Command("cancel")
    .summary("ask the workers that run tasks to abort them")
    .description(
      "Ask the workers that run these tasks to abort them. They are tried again as after a failure or, with --archive, " +
        "become dead letters.",
    )
    .argument("[QUEUE]", "the queue")
    .argument("[ID...]", "ids of running tasks")
    .addOption(queueOption())
    .option("--archive", "make dead letters of them instead of trying again");
  return teaching(
    withActing(command),
    [
      "holdfast task ls default --state active",
      "holdfast task cancel default 0199cc0e-3f2a-7c51-9d0b-6a54a9f3d0c1 --archive",
    ],
    "It is a wish: a handler that ignores its signal runs on until its timeout. What does not run yet: holdfast task archive, or holdfast task delete.",
  ).action(async (first: string | undefined, rest: readonly string[], flags: Flags) => {
    const [queue, ids] = queueAndRest(flags, first === undefined ? rest : [first, ...rest]);
    if (ids.length === 0) throw invalidOption("ID", "which tasks? Give their ids");
    await withStorageOpen(flags, async ({ inspector }) => {
      const retry = flags.archive !== true;
      const { receipts } = await inspector.cancel({ queue, ids }, { ...(await actOf(flags, inspector)), retry });
      const answers = receipts.map(({ id, status }) => ({ id, done: status === "requested", status }));
      receiptsExitCode(answers);
      if (flags.json === true) await printJson({ queue, receipts });
      else await print(...receiptLines(answers, queue, "asked to stop"));
    });
  });
}
