import { Command } from "commander";
import { count, counted } from "../../core/counting.js";
import { invalidOption } from "../../core/errors.js";
import { shellWord } from "../../core/shell-word.js";
import type { DeadLetters, DiscardedTask } from "../../deadletter/index.js";
import { confirmed } from "../confirm.js";
import {
  type ActFlags,
  queueAndRest,
  queueOption,
  type StorageFlags,
  teaching,
  wholeNumber,
  withActing,
  withStorage,
} from "../flags.js";
import { taskJson } from "../json-shapes.js";
import { note, print, printJson } from "../output.js";
import { actOf } from "../storage.js";
import { table } from "../table.js";
import { receiptLines, receiptsExitCode } from "../task/receipts.js";
import { iso, relative } from "../times.js";
import { withDeadLetters } from "./open.js";
import { commandLines } from "../command-lines.js";

export function trashCommand(): Command {
  return new Command("trash")
    .summary("what was discarded: look at it, or delete it for good")
    .description("What was discarded: look at it, or delete it for good.")
    .addCommand(lsCommand())
    .addCommand(purgeCommand());
}

function lsCommand(): Command {
  const command = new Command("ls")
    .summary("what the trash holds, what goes first first")
    .description("What the trash of a queue, or of all queues, holds: what goes first first.")
    .argument("[QUEUE]", "the queue; all of them unless given")
    .addOption(queueOption())
    .option("--limit <N>", "of each queue, 1 … 500", wholeNumber("--limit", 1, 500), 30);
  return teaching(withStorage(command), ["holdfast dlq trash ls", "holdfast dlq trash ls billing --json"]).action(
    async (word: string | undefined, flags: StorageFlags & { queue?: string; limit: number }) =>
      withDeadLetters(flags, async ({ broker, letters }) => {
        const named = flags.queue ?? word;
        const queues =
          named === undefined ? (await broker.queues(broker.clock.nowMs())).map(({ name }) => name) : [named];
        const pages = await Promise.all(queues.map((queue) => letters.trash(queue, { limit: flags.limit })));
        const items = pages.flatMap((page) => page.items);
        if (flags.json === true) {
          await printJson(items.map(discardedJson));
          return;
        }
        if (items.length === 0) {
          note(isEmpty);
          return;
        }
        await print(...trashLines(items, broker.clock.nowMs(), named === undefined));
        const more = queues.filter((_, n) => pages[n]!.next !== undefined);
        if (more.length > 0) note(`There is more in ${more.join(", ")}: --limit shows up to 500.`);
        const [first] = items;
        const { queue, id } = first!.task;
        note("Bring one back:", ...commandLines(["holdfast dlq restore", shellWord(queue), shellWord(id)]));
      }),
  );
}

function trashLines(items: readonly DiscardedTask[], nowMs: number, withQueue: boolean): string[] {
  return table<DiscardedTask>(
    [
      { head: "ID", cell: ({ task }) => task.id },
      ...(withQueue ? [{ head: "QUEUE", cell: ({ task }: DiscardedTask) => task.queue, min: 6 }] : []),
      { head: "TYPE", cell: ({ task }) => task.message?.type ?? "(unreadable)", min: 8, rank: 3 },
      { head: "GOES", cell: ({ untilMs }) => relative(untilMs, nowMs) },
      { head: "WHY", cell: ({ discarded }) => discarded.reason, min: 8, rank: 1 },
      { head: "BY", cell: ({ discarded }) => discarded.actor, min: 6, rank: 2 },
    ],
    items,
  );
}

const discardedJson = ({ task, discarded, untilMs }: DiscardedTask) => ({
  ...taskJson(task),
  discardedAt: iso(discarded.atMs),
  discardedBy: discarded.actor,
  reason: discarded.reason === "" ? null : discarded.reason,
  goneAt: iso(untilMs),
});

interface PurgeFlags extends ActFlags {
  readonly queue?: string;
  readonly all?: true;
  readonly yes?: true;
}

function purgeCommand(): Command {
  const command = new Command("purge")
    .summary("delete discarded tasks for good, before their time")
    .description("Delete discarded tasks for good, before their time. This cannot be undone.")
    .argument("[QUEUE]", "the queue")
    .argument("[ID...]", "ids of discarded tasks")
    .addOption(queueOption())
    .option("--all", "all that the trash of the queue holds")
    .option("-y, --yes", "do not ask");
  return teaching(withActing(command), ["holdfast dlq trash purge billing --all --reason 'personal data'"]).action(
    async (first: string | undefined, words: readonly string[], flags: PurgeFlags) => {
      const [queue, given] = queueAndRest(flags, first === undefined ? words : [first, ...words]);
      if (given.length === 0 && flags.all !== true)
        throw invalidOption("ID", "which discarded tasks? Give ids, or --all of the queue");
      await withDeadLetters(flags, async ({ inspector, letters }) => {
        const ids = flags.all === true ? await trashedIds(letters, queue) : given;
        if (ids.length === 0)
          return flags.json === true ? void (await printJson({ queue, receipts: [] })) : note(isEmpty);
        await confirmed(
          `${counted(ids.length, "discarded task")} of queue "${queue}" will be deleted for good.`,
          flags,
          "purge",
        );
        const { receipts } = await letters.purge({ queue, ids }, await actOf(flags, inspector));
        const answers = receipts.map(({ id, status }) => ({ id, done: status === "purged", status }));
        receiptsExitCode(answers);
        if (flags.json === true) await printJson({ queue, receipts });
        else if (answers.length > 20)
          await print(`${count(answers.filter(({ done }) => done).length)} tasks deleted for good`);
        else await print(...receiptLines(answers, queue, "deleted for good"));
      });
    },
  );
}

export const isEmpty = "The trash is empty.";

/** A selection of ids has at most 10,000 of them. */
const mostIds = 10_000;

/** Of the trash of a queue, what goes first. */
export async function trashedIds(letters: DeadLetters, queue: string): Promise<string[]> {
  const ids: string[] = [];
  let cursor: string | undefined;
  do {
    const page = await letters.trash(queue, { limit: 500, cursor });
    ids.push(...page.items.map(({ task }) => task.id));
    cursor = page.next;
  } while (cursor !== undefined && ids.length < mostIds);
  return ids.slice(0, mostIds);
}
