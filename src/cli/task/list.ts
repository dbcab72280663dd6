import { Command } from "commander";
import type { Selection, TaskInfo } from "../../index.js";
import { printable } from "../../core/printable.js";
import { shellWord } from "../../core/shell-word.js";
import type { TaskState } from "../../core/state.js";
import {
  type StorageFlags,
  queueAndRest,
  queueArgument,
  queueOption,
  stateOption,
  teaching,
  wholeNumber,
  withStorage,
} from "../flags.js";
import { taskJson } from "../json-shapes.js";
import { note, print, printJsonLine } from "../output.js";
import { type Opened, withStorageOpen } from "../storage.js";
import { taskListLines } from "./columns.js";

interface Flags extends StorageFlags {
  readonly queue?: string;
  readonly state: TaskState;
  readonly type?: string;
  readonly group?: string;
  readonly limit: number;
  readonly cursor?: string;
  readonly last?: true;
  readonly all?: true;
}

export function lsCommand(): Command {
  const command = new Command("ls")
    .summary("the tasks of a queue that are in one state")
    .description(
      "The tasks of a queue that are in one state: pending in the order in which they will run, the others by time.",
    )
    .addArgument(queueArgument())
    .addOption(queueOption())
    .addOption(stateOption().default("pending"))
    .option("-t, --type <TYPE>", "only tasks of this type")
    .option("-g, --group <GROUP>", "only tasks of this group; for the state aggregating")
    .option("--limit <N>", "tasks on the page, 1 … 500", wholeNumber("--limit", 1, 500), 20)
    .option("--last", "the end of the list, or the page before --cursor")
    .option("--cursor <CURSOR>", "where to go on, as the page before said")
    .option("--all", "all of them, as they come; with --json a stream");
  return teaching(
    withStorage(command),
    [
      "holdfast task ls default",
      "holdfast task ls default --state archived --type email:welcome",
      "holdfast task ls default --state retry --last",
      "holdfast task ls default --state archived --all --json | jq -r .lastError",
    ],
    "With --json: a line of JSON for each task. One task in full: holdfast task show QUEUE ID",
  ).action(async (word: string | undefined, flags: Flags) => {
    const [queue] = queueAndRest(flags, word === undefined ? [] : [word]);
    const { state, type, group } = flags;
    const selection = {
      queue,
      state,
      ...(type === undefined ? {} : { type }),
      ...(group === undefined ? {} : { group }),
    };
    await withStorageOpen(flags, async (opened) => {
      const found = await (flags.all === true ? all(opened, selection, flags) : page(opened, selection, flags));
      if (found > 0) return;
      await opened.inspector.queue(queue); // Throws where the queue itself is not there: its name is wrong, probably.
      if (flags.json !== true)
        note(`No ${state} tasks${named(selection)}${flags.cursor === undefined ? "" : " here"}.`);
    });
  });
}

type StateSelection = Exclude<Selection, { readonly ids: readonly string[] }>;

async function page({ broker, inspector }: Opened, selection: StateSelection, flags: Flags): Promise<number> {
  const backwards = flags.last === true;
  const found = await inspector.list(selection, { limit: flags.limit, cursor: flags.cursor, backwards });
  const { items } = found;
  if (flags.json === true) for (const task of items) await printJsonLine(taskJson(task));
  else if (items.length > 0) await print(...taskListLines(items, selection.state, broker.clock.nowMs()));
  const cursor = backwards ? found.previous : found.next;
  if (flags.json === true || cursor === undefined) return items.length;
  const looked = found.scanned > items.length ? ` (${found.scanned} tasks were looked at)` : "";
  note(`More${looked}:`, `  ${again(selection, flags, cursor)}`);
  return items.length;
}

const named = ({ queue, type }: StateSelection) =>
  `${type === undefined ? "" : ` of type ${printable(JSON.stringify(type))}`} in queue ${printable(JSON.stringify(queue))}`;

/** The command that shows the page after this one, to copy. */
function again({ queue, state, type, group }: StateSelection, flags: Flags, cursor: string): string {
  const words = ["holdfast", "task", "ls", shellWord(queue), "--state", state];
  if (type !== undefined) words.push("--type", shellWord(type));
  if (group !== undefined) words.push("--group", shellWord(group));
  if (flags.limit !== 20) words.push("--limit", String(flags.limit));
  if (flags.last === true) words.push("--last");
  return [...words, "--cursor", shellWord(cursor)].join(" ");
}

/** All of them. A table needs to know how wide its columns are: one for each 500. */
async function all({ broker, inspector }: Opened, selection: StateSelection, flags: Flags): Promise<number> {
  let found = 0;
  let rows: TaskInfo[] = [];
  const printRows = async () => print(...taskListLines(rows, selection.state, broker.clock.nowMs()));
  for await (const task of inspector.tasks(selection, { backwards: flags.last === true })) {
    found += 1;
    if (flags.json === true) {
      if (!(await printJsonLine(taskJson(task)))) return found;
      continue;
    }
    rows.push(task);
    if (rows.length < 500) continue;
    if (!(await printRows())) return found;
    rows = [];
  }
  if (rows.length > 0) await printRows();
  return found;
}
