import { Command } from "commander";
import { isFingerprint } from "../../core/fingerprint.js";
import { type ActFlags, queueOption, teaching, withActing } from "../flags.js";
import { actOf } from "../storage.js";
import { acknowledgeGroup } from "./group-acts.js";
import { actOnChosen } from "./acting.js";
import { chosen, type ChosenFlags, whereOption } from "./chosen.js";
import { withDeadLetters } from "./open.js";

interface Flags extends ActFlags, ChosenFlags {
  readonly undo?: true;
}

export function ackCommand(): Command {
  const command = new Command("ack")
    .summary("say that somebody looks after dead letters, or has done them by hand")
    .description(
      "Note on dead letters that somebody looks after them, or has done by hand what they were to do: who, when and why. It holds until they die anew.",
    )
    .argument("[QUEUE]", "the queue; one id alone is looked for in all; or a group's fingerprint, for all of it")
    .argument("[ID...]", "ids of dead letters; or give a --where")
    .addOption(queueOption())
    .addOption(whereOption())
    .option("--undo", "take it back");
  return teaching(withActing(command), [
    "holdfast dlq ack billing ID --reason 'refunded by hand'",
    "holdfast dlq ack --where 'fp:v1:0123456789abcdef' --reason 'INC-42'",
    "holdfast dlq ack v1:97f04c1ae3ca089d --reason 'INC-42'",
  ]).action(async (first: string | undefined, rest: readonly string[], flags: Flags) => {
    if (isFingerprint(first) && rest.length === 0) return acknowledgeGroup(first, flags);
    await withDeadLetters(flags, async (opened) => {
      const which = await chosen(opened, first === undefined ? rest : [first, ...rest], flags);
      const by = { ...(await actOf(flags, opened.inspector)), undo: flags.undo === true };
      await actOnChosen(opened, which, flags, {
        word: flags.undo === true ? "no more acknowledged" : "acknowledged",
        good: ["acknowledged"],
        act: (selection) => opened.letters.acknowledgeTasks(selection, by),
      });
    });
  });
}
