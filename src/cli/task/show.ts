import { Command } from "commander";
import { HoldfastError, invalidOption } from "../../core/errors.js";
import type { TaskInfo } from "../../index.js";
import { type StorageFlags, queueAndRest, queueOption, teaching, withStorage } from "../flags.js";
import { taskJson } from "../json-shapes.js";
import { print, printJson } from "../output.js";
import { type Opened, withStorageOpen } from "../storage.js";
import { taskLines } from "./view.js";

export function showCommand(): Command {
  const command = new Command("show")
    .summary("one task in full")
    .description(
      "Tasks in full: state and times, options, headers, the last failure, progress, payload and result. With the id " +
        "alone all queues are asked.",
    )
    .argument("[QUEUE]", "the queue; all of them unless given")
    .argument("[ID...]", "ids of tasks")
    .addOption(queueOption());
  return teaching(withStorage(command), [
    "holdfast task show default 0199cc0e-3f2a-7c51-9d0b-6a54a9f3d0c1",
    "holdfast task show 0199cc0e-3f2a-7c51-9d0b-6a54a9f3d0c1",
    "holdfast task show default ID --json | jq '.[0].payload | fromjson'",
  ]).action(async (first: string | undefined, rest: readonly string[], flags: StorageFlags & { queue?: string }) =>
    withStorageOpen(flags, async (opened) => {
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
    }),
  );
}

/** @throws TASK_NOT_FOUND */
async function findIn({ inspector }: Opened, queue: string, ids: readonly string[]): Promise<TaskInfo[]> {
  if (ids.length === 0) throw invalidOption("ID", "which task? Give its id");
  return Promise.all(ids.map((id) => inspector.require(queue, id)));
}

/** Ids are unique in their queue, so there may be more than one; they are UUIDs mostly. @throws TASK_NOT_FOUND */
export async function findAnywhere({ inspector }: Pick<Opened, "inspector">, id: string): Promise<TaskInfo> {
  const queues = await inspector.queues();
  const found = await Promise.all(queues.map(({ name }) => inspector.find(name, id)));
  const task = found.find((one) => one !== undefined);
  if (task === undefined) throw new HoldfastError("TASK_NOT_FOUND", { queue: "*", id });
  return task;
}
