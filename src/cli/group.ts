import { Command } from "commander";
import { printable } from "../core/printable.js";
import { type StorageFlags, queueAndRest, queueArgument, queueOption, teaching, withStorage } from "./flags.js";
import { note, print, printJson } from "./output.js";
import { numbers } from "./queue/view.js";
import { withStorageOpen } from "./storage.js";
import { table } from "./table.js";

export function groupCommand(): Command {
  return new Command("group")
    .summary("look at groups of tasks that Go programs gather")
    .description("Look at groups: tasks that Go programs gather, to handle them as one.")
    .addCommand(lsCommand());
}

function lsCommand(): Command {
  const command = new Command("ls")
    .summary("the groups of a queue that hold tasks")
    .description("The groups of a queue that hold tasks, and how many.")
    .addArgument(queueArgument())
    .addOption(queueOption());
  return teaching(withStorage(command), [
    "holdfast group ls notifications",
    "holdfast task ls notifications --state aggregating --group user:42",
  ]).action(async (word: string | undefined, flags: StorageFlags & { queue?: string }) => {
    const [queue] = queueAndRest(flags, word === undefined ? [] : [word]);
    await withStorageOpen(flags, async ({ inspector }) => {
      const groups = await inspector.groups(queue);
      if (flags.json === true) await printJson(groups);
      else if (groups.length === 0) note(`No groups in queue ${printable(JSON.stringify(queue))}.`);
      else {
        await print(
          ...table(
            [
              { head: "GROUP", cell: ({ name }) => name, min: 10 },
              numbers<(typeof groups)[number]>("TASKS", ({ count }) => count),
            ],
            groups,
          ),
        );
      }
    });
  });
}
