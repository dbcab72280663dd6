import { Command } from "commander";
import { count } from "../../core/counting.js";
import { invalidOption } from "../../core/errors.js";
import { printable } from "../../core/printable.js";
import { shellWord } from "../../core/shell-word.js";
import { printSearch, searchOf } from "../../deadletter/search/query.js";
import { confirmed } from "../confirm.js";
import {
  type ActFlags,
  queueOption,
  type StorageFlags,
  teaching,
  wholeNumber,
  withActing,
  withStorage,
} from "../flags.js";
import { taskJson } from "../json-shapes.js";
import { note, print, printJson, printJsonLine } from "../output.js";
import { actOf } from "../storage.js";
import { taskListLines } from "../task/columns.js";
import { actOnChosen } from "./acting.js";
import { chosen, type ChosenFlags, whereOption } from "./chosen.js";
import { withDeadLetters } from "./open.js";
import { commandLines } from "../command-lines.js";

export function quarantineCommand(): Command {
  return new Command("quarantine")
    .summary("tasks that may do harm: run one by one, by hand")
    .description(
      "Tasks that may do harm: workers died of them, or somebody put them here. They are run one by one, never by a redrive, a rule or in bulk.",
    )
    .addCommand(lsCommand())
    .addCommand(markCommand("add"))
    .addCommand(markCommand("rm"))
    .addCommand(runCommand());
}

function lsCommand(): Command {
  const command = new Command("ls")
    .summary("what is in quarantine")
    .description("What is in quarantine, in all queues or one.")
    .argument("[QUEUE]", "only of this queue")
    .option("--scan <N>", "dead letters to look at before it stops and says so", wholeNumber("--scan", 1, 1_000_000));
  return teaching(withStorage(command), ["holdfast dlq quarantine ls", "holdfast dlq quarantine ls billing"]).action(
    async (queue: string | undefined, flags: StorageFlags & { readonly scan?: number }) =>
      withDeadLetters(flags, async ({ broker, letters }) => {
        const query =
          queue === undefined ? "is:quarantined" : `${printSearch(searchOf("queue", queue))} is:quarantined`;
        const { items, scanned, total, cursor } = await letters.search(query, { limit: 500, scan: flags.scan });
        if (flags.json === true) {
          for (const task of items) await printJsonLine(taskJson(task));
          return;
        }
        if (items.length > 0)
          await print(...taskListLines(items, "archived", broker.clock.nowMs(), { queues: queue === undefined }));
        note(`${count(items.length)} in quarantine; scanned ${count(scanned)} of ${count(total)}.`);
        if (cursor !== undefined) note("There are more to look at:", `  holdfast dlq search ${shellWord(query)} --all`);
        const [first] = items;
        if (first !== undefined)
          note(
            "Run one, and watch it:",
            ...commandLines(["holdfast dlq quarantine run", shellWord(first.queue), shellWord(first.id)]),
          );
      }),
  );
}

function markCommand(verb: "add" | "rm"): Command {
  const command = new Command(verb)
    .argument("[QUEUE]", "the queue; one id alone is looked for in all")
    .argument("[ID...]", "ids of dead letters; or give a --where")
    .addOption(queueOption())
    .addOption(whereOption());
  if (verb === "add")
    command.summary("put dead letters here").description("Put dead letters into quarantine, until they are taken out.");
  else
    command
      .summary("take dead letters out that somebody put here")
      .description("Take dead letters out that somebody put here. What workers died of stays: run it, or discard it.");
  return teaching(withActing(command), [
    `holdfast dlq quarantine ${verb} billing ID --reason 'takes all memory'`,
  ]).action(async (first: string | undefined, rest: readonly string[], flags: ActFlags & ChosenFlags) =>
    withDeadLetters(flags, async (opened) => {
      const which = await chosen(opened, first === undefined ? rest : [first, ...rest], flags);
      const by = await actOf(flags, opened.inspector);
      const { letters } = opened;
      await actOnChosen(opened, which, flags, {
        word: verb === "add" ? "in quarantine" : "taken out",
        good: ["marked"],
        act: async (selection) =>
          verb === "add" ? letters.quarantine(selection, by) : letters.unquarantine(selection, by),
      });
    }),
  );
}

function runCommand(): Command {
  const command = new Command("run")
    .summary("let one of them run, once")
    .description("Let one of them run, once. Fails it again, it is in quarantine again.")
    .argument("[QUEUE]", "the queue; an id alone is looked for in all")
    .argument("[ID]", "the id")
    .addOption(queueOption())
    .option("-y, --yes", "do not ask");
  return teaching(withActing(command), [
    "holdfast dlq quarantine run billing 0199cc0e-3f2a-7c51-9d0b-6a54a9f3d0c1",
  ]).action(
    async (
      first: string | undefined,
      second: string | undefined,
      flags: ActFlags & { readonly queue?: string; readonly yes?: true },
    ) =>
      withDeadLetters(flags, async (opened) => {
        const words = [first, second].filter((word) => word !== undefined);
        const which = await chosen(opened, words, flags);
        if (!("ids" in which) || which.ids.length !== 1) throw invalidOption("ID", "one task at a time: give one id");
        const { queue } = which;
        const id = which.ids[0]!;
        await confirmed(`Run ${id} of queue "${queue}"? Workers may die of it.`, flags);
        await opened.letters.runQuarantined(queue, id, await actOf(flags, opened.inspector));
        if (flags.json === true) await printJson({ queue, id, status: "moved" });
        else {
          await print(`${printable(id)} will run once.`);
          note("See what becomes of it:", ...commandLines(["holdfast task show", shellWord(queue), shellWord(id)]));
        }
      }),
  );
}
