import { Command } from "commander";
import { count, counted } from "../../core/counting.js";
import type { DeadSelection, RunResult } from "../../deadletter/index.js";
import { conflictExitCode, notFoundExitCode } from "../exit-codes.js";
import { type ActFlags, dateOf, teaching, wholeNumber, withActing } from "../flags.js";
import { print, printJson } from "../output.js";
import { untilStopped } from "../stopping.js";
import { actOf } from "../storage.js";
import { confirmed } from "../confirm.js";
import { drawing } from "./drawing.js";
import { withDeadLetters } from "./open.js";
import { type RunFlags, runOptionsOf, selectionOf, withRunOptions } from "./redrive-flags.js";
import { ineligibleLines, refusedLines } from "./redrive-view.js";

interface Flags extends ActFlags, RunFlags {
  readonly at?: string;
  readonly limit?: number;
  readonly yes?: true;
}

export function runCommand(): Command {
  const command = withRunOptions(
    new Command("run")
      .summary("run dead letters again: one, some, or those of a search")
      .description(
        "Run dead letters again, as fast as storage takes them: these ids of a queue, or those of a search over all queues.",
      ),
  )
    .option("--at <TIME>", "not before this time: 2026-11-23T06:00Z")
    .option("--limit <N>", "of a search: at most so many", wholeNumber("--limit", 1, 1e9))
    .option("-y, --yes", "do not ask");
  return teaching(
    withActing(command),
    [
      "holdfast dlq run default 0199cc0e-3f2a-7c51-9d0b-6a54a9f3d0c1",
      'holdfast dlq run --where "fp:v1:5a0c5d3b2f1e9a77" --attempts 3 --yes',
      'holdfast dlq run --where "queue:mail type:email.*" --to mail-slow --limit 100',
    ],
    "One id by itself runs whatever is said against it. Of more than that, what is in quarantine, acknowledged, to run at most once or for a human to decide on stays where it is, and is named. For many, holdfast dlq redrive tries a few first, and stops itself when they fail again.",
  ).action(async (words: readonly string[], flags: Flags) => {
    const selection = selectionOf(words, flags);
    const at = flags.at === undefined ? undefined : dateOf(flags.at, "--at");
    await withDeadLetters(flags, async ({ inspector, letters }) => {
      if (typeof selection === "string") await confirmed(`Run the dead letters of "${selection}" again?`, flags);
      const { draw, end } = drawing();
      const options = {
        ...(await actOf(flags, inspector)),
        ...runOptionsOf(flags),
        at,
        limit: flags.limit,
        onProgress: ({ moved, refused }: { moved: number; refused: number }) =>
          draw(`${count(moved)} will run, ${count(refused)} left (Ctrl-C stops)`),
      };
      const result = await untilStopped(async (signal) => letters.run(selection, { ...options, signal }).finally(end));
      process.exitCode ||= exitCode(selection, result);
      if (flags.json === true) await printJson({ selection, ...result });
      else {
        await print(
          `${counted(result.moved, "dead letter")} will run`,
          ...ineligibleLines(result.ineligible),
          ...refusedLines(result.refused),
          ...(result.all ? [] : ["there may be more; the same command goes on"]),
        );
      }
    });
  });
}

/** As of all acts: of ids each counts; of a search, whether anything of what it found could be done. */
function exitCode(selection: DeadSelection, { moved, ineligible }: RunResult): number {
  const left = Object.keys(ineligible).length > 0;
  if (!left || (typeof selection === "string" && moved > 0)) return 0;
  return typeof selection !== "string" && ineligible.notFound !== undefined ? notFoundExitCode : conflictExitCode;
}
