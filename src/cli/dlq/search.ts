import { Command } from "commander";
import type { SearchPage, SearchProgress } from "../../deadletter/index.js";
import { count, counted } from "../../core/counting.js";
import { HoldfastError } from "../../core/errors.js";
import { printable } from "../../core/printable.js";
import { shellWord } from "../../core/shell-word.js";
import type { TaskInfo } from "../../index.js";
import { type StorageFlags, teaching, wholeNumber, withStorage } from "../flags.js";
import { taskJson } from "../json-shapes.js";
import { note, print, printJsonLine } from "../output.js";
import { untilStopped } from "../stopping.js";
import { taskListLines } from "../task/columns.js";
import { columns, startOf } from "../terminal.js";
import { withDeadLetters } from "./open.js";
import { commandLines } from "../command-lines.js";

interface Flags extends StorageFlags {
  readonly limit: number;
  readonly scan: number;
  readonly newest?: true;
  readonly cursor?: string;
  readonly all?: true;
}

const mostLimit = 500;

export function searchCommand(): Command {
  const command = new Command("search")
    .summary("find dead letters, in all queues")
    .description("Find dead letters, in all queues. All terms must hold; - before a term turns it round.")
    .argument("<QUERY...>", "what to look for, in single quotes")
    .option("--limit <N>", "hits to show, 1 … 500", wholeNumber("--limit", 1, mostLimit), 20)
    .option("--scan <N>", "tasks to look at before it stops and says so", wholeNumber("--scan", 1, 1_000_000), 10_000)
    .option("--newest", "in each queue the last dead letter first")
    .option("--cursor <CURSOR>", "where to go on, as the call before said")
    .option("--all", "all hits, as they are found; with --json a stream");
  return teaching(
    withStorage(command),
    [
      "holdfast dlq search 'queue:billing type:invoice.* failed:>2h'",
      "holdfast dlq search 'err~\"connection refused\" -reason:manual' --newest",
      "holdfast dlq search 'payload.customer.id:42 state:any' --json",
      "holdfast dlq search 'reason:no_handler' --all --json | jq -r .id",
    ],
    "Fields: state queue type id reason class err fp failed age enqueued retried crashes took payload.PATH header.NAME " +
      "is build host. A word without a field is searched for everywhere. In docs/guide/dead-letter-search.md there is an " +
      "example of each.",
  ).action(async (words: readonly string[], flags: Flags) => {
    const query = words.join(" ");
    await withDeadLetters(flags, async ({ broker, letters }) => {
      const nowMs = broker.clock.nowMs();
      try {
        const shown = new Shown(flags, nowMs);
        const page = await untilStopped(async (signal) => {
          if (flags.all !== true) {
            const { limit, scan, cursor, newest } = flags;
            const found = await letters.search(query, {
              limit,
              scan,
              cursor,
              newestFirst: newest === true,
              signal,
              onProgress: shown.progress,
            });
            await shown.add(found.items);
            return found;
          }
          let last: SearchPage | undefined;
          for await (last of letters.searchAll(query, { signal, newestFirst: flags.newest === true })) {
            shown.progress(last);
            if (!(await shown.add(last.items))) break;
          }
          return last;
        });
        await shown.end();
        if (flags.json !== true) tell(query, flags, page);
      } catch (error) {
        throw pointedAt(error, query, flags);
      }
    });
  });
}

/** Prints hits as they come: JSON at once, tables as soon as they are worth their head. */
class Shown {
  readonly #flags: Flags;
  readonly #nowMs: number;
  #waiting: TaskInfo[] = [];

  constructor(flags: Flags, nowMs: number) {
    this.#flags = flags;
    this.#nowMs = nowMs;
  }

  readonly progress = (at: SearchProgress): void => {
    if (!process.stderr.isTTY || this.#flags.json === true) return;
    process.stderr.write(`\r\u001b[K${startOf(`${figures(at)} (Ctrl-C stops)`, columns() - 1)}`);
  };

  /** False when nobody reads any more. */
  async add(tasks: readonly TaskInfo[]): Promise<boolean> {
    if (this.#flags.json === true) {
      for (const task of tasks) if (!(await printJsonLine(taskJson(task)))) return false;
      return true;
    }
    this.#waiting.push(...tasks);
    return this.#waiting.length < mostLimit || this.#table();
  }

  async end(): Promise<void> {
    await this.#table();
  }

  async #table(): Promise<boolean> {
    if (process.stderr.isTTY && this.#flags.json !== true) process.stderr.write("\r\u001b[K");
    const states = [...new Set(this.#waiting.map(({ state }) => state))];
    const tables = states.flatMap((state) => {
      const tasks = this.#waiting.filter((task) => task.state === state);
      const lines = taskListLines(tasks, state, this.#nowMs, { queues: true });
      return states.length > 1 ? [`${state}:`, ...lines] : lines;
    });
    this.#waiting = [];
    return print(...tables);
  }
}

const figures = ({ scanned, total, hits }: SearchProgress) =>
  `scanned ${count(scanned)} of ${count(total)}, ${counted(hits, "hit")}`;

function tell(query: string, flags: Flags, page: SearchPage | undefined): void {
  if (page === undefined) return;
  note(`${figures(page)}${page.cursor === undefined ? "" : "; there is more:"}`);
  const word = shellWord(query);
  const options = [
    ...(flags.limit === 20 ? [] : [`--limit ${flags.limit}`]),
    ...(flags.scan === 10_000 ? [] : [`--scan ${flags.scan}`]),
  ];
  if (page.cursor !== undefined && flags.all !== true)
    note(...commandLines(["holdfast dlq search", word, ...options, "--cursor", shellWord(page.cursor)]));
  if (page.hits > 0 && page.cursor === undefined) {
    const [first] = page.items;
    if (first !== undefined)
      note("Look at one:", ...commandLines(["holdfast task show", shellWord(first.queue), shellWord(first.id)]));
  }
}

/** The place is shown, too, where a person reads: under the search as it was written. */
function pointedAt(error: unknown, query: string, flags: Flags): unknown {
  if (!HoldfastError.is(error, "SEARCH_INVALID") || flags.json === true) return error;
  const { column } = error.data;
  const before = printable(query.slice(0, column - 1));
  if (before.length + 4 < columns()) note(`  ${startOf(query, columns() - 2)}`, `  ${" ".repeat(before.length)}^`);
  return error;
}
