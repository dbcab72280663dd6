import { Option } from "commander";
import { invalidOption } from "../../core/errors.js";
import type { DeadLetters } from "../../deadletter/index.js";
import { printSearch, searchOf } from "../../deadletter/search/query.js";
import type { TaskInfo } from "../../index.js";
import { queueAndRest } from "../flags.js";
import type { Opened } from "../storage.js";
import { findAnywhere } from "../task/find.js";
import type { Receipt } from "../task/receipts.js";

/** Which dead letters a command is about. */
export type Chosen = { readonly queue: string; readonly ids: readonly string[] } | { readonly query: string };

export interface ChosenFlags {
  readonly queue?: string;
  readonly where?: string;
}

export const whereOption = () => new Option("--where <SEARCH>", "all that a search finds, as for holdfast dlq search");

/** Ids of a queue; one id alone, of whatever queue it is; or a search. @throws OPTION_INVALID TASK_NOT_FOUND */
export async function chosen(
  opened: Pick<Opened, "broker" | "inspector">,
  words: readonly string[],
  { queue, where }: ChosenFlags,
): Promise<Chosen> {
  if (where !== undefined) {
    if (words.length > 0) throw invalidOption("--where", "cannot be given together with ids");
    // A variable that was not set must not mean a whole queue.
    if (where.trim() === "")
      throw invalidOption("--where", 'must say which dead letters are meant: "type:mail age:>1d"');
    return { query: queue === undefined ? where : `${printSearch(searchOf("queue", queue))} ${where}` };
  }
  if (words.length === 0) throw invalidOption("ID", "which dead letters? Give ids, or --where SEARCH");
  if (words.length === 1 && queue === undefined) {
    const task = await findAnywhere(opened, words[0]!);
    return { queue: task.queue, ids: [task.id] };
  }
  const [of, ids] = queueAndRest(queue === undefined ? {} : { queue }, words);
  return { queue: of, ids };
}

/** Of these ids those that are no dead letters, for commands whose answer does not name them. */
export async function notDead(
  { broker }: Pick<Opened, "broker">,
  { queue, ids }: { readonly queue: string; readonly ids: readonly string[] },
): Promise<Receipt[]> {
  const found = await broker.find(ids.map((id) => ({ queue, id })));
  const receipts = ids.map((id, n) => ({
    id,
    done: false,
    status: found[n] === undefined ? "notFound" : "wrongState",
  }));
  return receipts.filter((_, n) => found[n]?.state !== "archived");
}

/** Step by step the hits of a search, each queue's by themselves; all that was found before is done with by then. */
export async function* hitsByQueue(
  letters: DeadLetters,
  query: string,
  signal: AbortSignal,
): AsyncGenerator<{ readonly queue: string; readonly ids: readonly string[] }, void> {
  for await (const { items } of letters.searchAll(query, { signal })) yield* byQueue(items);
}

function* byQueue(tasks: readonly TaskInfo[]) {
  for (const queue of new Set(tasks.map((task) => task.queue))) {
    yield { queue, ids: tasks.filter((task) => task.queue === queue).map(({ id }) => id) };
  }
}
