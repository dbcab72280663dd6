import { Command, Option } from "commander";
import { toMs } from "../../core/duration.js";
import { invalidOption } from "../../core/errors.js";
import type { Duration } from "../../index.js";
import { type StorageFlags, teaching, withStorage } from "../flags.js";
import { print, printJson, printJsonLine } from "../output.js";
import { withStorageOpen } from "../storage.js";
import { type Stats, lookAt } from "./look.js";
import { missingFrom, statsJson, statsLines } from "./view.js";
import { watch } from "./watch.js";

interface Flags extends StorageFlags {
  /** ms; true without an interval. */
  readonly watch?: number | true;
}

const defaultEveryMs = 2_000;

export function statsCommand(): Command {
  const command = new Command("stats")
    .summary("what all queues do right now")
    .description(
      "What all queues do right now: tasks by state, how long the next one waits, what was done today (UTC).",
    )
    .addOption(new Option("--watch [INTERVAL]", "look again and again, every 2s unless given").argParser(interval));
  return teaching(
    withStorage(command),
    [
      "holdfast stats",
      "holdfast stats --watch 5s",
      "holdfast stats --json | jq '.queues[] | select(.counts.archived > 0) | .name'",
    ],
    "On a terminal --watch redraws in place, and ends with q or Ctrl-C; elsewhere it prints one look after the other, with --json one line each. Exit code 5: some queues could not be asked, for a node of the Cluster is away; the others are told. Then: holdfast queue show QUEUE",
  ).action(async (flags: Flags) =>
    withStorageOpen(flags, async ({ broker, inspector }) => {
      const look = async () => lookAt(broker, inspector);
      if (flags.watch !== undefined) {
        const everyMs = flags.watch === true ? defaultEveryMs : flags.watch;
        await watch({ look, everyMs, json: flags.json === true ? oneLine : undefined });
        return;
      }
      const stats = await look();
      if (flags.json === true) await printJson(statsJson(stats));
      else await print(...statsLines(stats));
      const missing = missingFrom(stats);
      if (missing !== undefined) throw missing;
    }),
  );
}

const oneLine = async (stats: Stats) => printJsonLine(statsJson(stats));

function interval(word: string): number {
  const ms = toMs(word as Duration, "--watch");
  if (ms < 200) throw invalidOption("--watch", `must be at least "200ms", got ${JSON.stringify(word)}`);
  return ms;
}
