import { Command } from "commander";
import { type StorageFlags, queueAndRest, queueOption, teaching, withStorage } from "../flags.js";
import { taskJson } from "../json-shapes.js";
import { print, printJson } from "../output.js";
import { withStorageOpen } from "../storage.js";
import { findAnywhere, findIn } from "./find.js";
import { taskLines } from "./view.js";

export function showCommand(): Command {
  const command = new Command("show")
    .summary("one task in full")
    .description(
      "Tasks in full: state and times, options, headers, the last failure and earlier ones, progress, payload and result. With the id " +
        "alone all queues are asked.",
    )
    .argument("[QUEUE]", "the queue; all of them unless given")
    .argument("[ID...]", "ids of tasks")
    .addOption(queueOption());
  return teaching(withStorage(command), [
    "holdfast task show default 0199cc0e-3f2a-7c51-9d0b-6a54a9f3d0c1",
    "holdfast task show 0199cc0e-3f2a-7c51-9d0b-6a54a9f3d0c1",
    "holdfast task show default ID --json | jq '.[0].payload | fromjson'",
  ]).action(showTasks);
}

/** One id without a queue is looked for in all queues. */
export async function showTasks(
  first: string | undefined,
  rest: readonly string[],
  flags: StorageFlags & { queue?: string },
): Promise<void> {
  await withStorageOpen(flags, async (opened) => {
    const words = first === undefined ? rest : [first, ...rest];
    const tasks =
      words.length === 1 && flags.queue === undefined
        ? [await findAnywhere(opened, words[0]!)]
        : await findIn(opened, ...queueAndRest(flags, words));
    if (flags.json === true) {
      await printJson(tasks.map(taskJson));
      return;
    }
    for (const [i, task] of tasks.entries()) {
      await print(...(i > 0 ? [""] : []), ...taskLines(task, opened.broker.clock.nowMs()));
    }
  });
}
