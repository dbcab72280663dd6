import { Command, Option } from "commander";
import { counted } from "../../core/counting.js";
import { invalidOption } from "../../core/errors.js";
import type { DeadLetters, FailureGroup } from "../../deadletter/index.js";
import { type ActFlags, teaching, withActing } from "../flags.js";
import { note, print, printJson } from "../output.js";
import { actOf } from "../storage.js";
import { groupJson } from "./group-view.js";
import { fingerprintArgument } from "./groups.js";
import { withDeadLetters } from "./open.js";

export function noteCommand(): Command {
  const command = new Command("note")
    .summary("write down what is known of a cause, for whoever looks next")
    .description("Write down what is known of a cause. It is kept when the dead letters are gone.")
    .addArgument(fingerprintArgument())
    .argument("<TEXT...>", "what to write");
  return teaching(withActing(command), ["holdfast dlq note v1:97f04c1ae3ca089d 'the bank is down until noon'"]).action(
    async (fingerprint: string, words: readonly string[], flags: ActFlags) =>
      act(flags, "Noted", (letters, by) => letters.noteGroup(fingerprint, words.join(" "), by)),
  );
}

interface ResolveFlags extends ActFlags {
  readonly cause?: string;
  readonly fix?: string;
  readonly lesson?: string;
}

export function resolveCommand(): Command {
  const command = new Command("resolve")
    .summary("a cause is gone: what it was, what was done, what to keep in mind")
    .description("A cause is gone. What is said here is shown when it is seen again: the group has regressed then.")
    .addArgument(fingerprintArgument())
    .option("--cause <TEXT>", "what was wrong")
    .option("--fix <TEXT>", "what was done about it")
    .option("--lesson <TEXT>", "what to keep in mind");
  return teaching(withActing(command), [
    "holdfast dlq resolve v1:97f04c1ae3ca089d --cause 'no index' --fix 'build 2.1'",
  ]).action(async (fingerprint: string, flags: ResolveFlags) => {
    const { cause, fix, lesson } = flags;
    if (cause === undefined)
      throw invalidOption("--cause", "must say what was wrong: whoever sees it again wants to know");
    await act(flags, "Resolved", (letters, by) => letters.resolveGroup(fingerprint, { ...by, cause, fix, lesson }));
  });
}

export function snoozeCommand(): Command {
  const command = new Command("snooze")
    .summary("a cause is not to be looked at for a while")
    .description("A cause is not to be looked at for a while; then it is open again.")
    .addArgument(fingerprintArgument())
    .addOption(new Option("--for <DURATION>", "how long, such as 4h or 7d").default("1d"));
  return teaching(withActing(command), ["holdfast dlq snooze v1:97f04c1ae3ca089d --for 4h"]).action(
    async (fingerprint: string, flags: ActFlags & { readonly for: string }) =>
      act(flags, "Snoozed", (letters, by) => letters.snoozeGroup(fingerprint, { ...by, for: flags.for as "1d" })),
  );
}

export function reopenCommand(): Command {
  const command = new Command("reopen")
    .summary("a cause is to be looked at after all")
    .description("A cause is neither acknowledged, snoozed nor resolved any more.")
    .addArgument(fingerprintArgument());
  return teaching(withActing(command), ["holdfast dlq reopen v1:97f04c1ae3ca089d"]).action(
    async (fingerprint: string, flags: ActFlags) =>
      act(flags, "Open again", (letters, by) => letters.reopenGroup(fingerprint, by)),
  );
}

/** For `dlq ack` of a group. */
export const acknowledgeGroup = (fingerprint: string, flags: ActFlags) =>
  act(flags, "Acknowledged", (letters, by) => letters.acknowledgeGroup(fingerprint, by));

async function act(
  flags: ActFlags,
  done: string,
  how: (letters: DeadLetters, by: { readonly actor?: string; readonly reason?: string }) => Promise<FailureGroup>,
): Promise<void> {
  await withDeadLetters(flags, async ({ letters, inspector }) => {
    const group = await how(letters, await actOf(flags, inspector));
    if (flags.json === true) {
      await printJson(groupJson(group));
      return;
    }
    await print(`${done}: ${group.fingerprint}, ${counted(group.count, "dead letter")}.`);
    if (group.count > 0 && group.status === "resolved")
      note("", `Next, to run them again: holdfast dlq search fp:${group.fingerprint}`);
  });
}
