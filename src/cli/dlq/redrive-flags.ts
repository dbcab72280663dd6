import type { Command } from "commander";
import { invalidOption } from "../../core/errors.js";
import type { DeadSelection } from "../../deadletter/index.js";
import { wholeNumber } from "../flags.js";

/** Which dead letters, and how they are run. */
export interface RunFlags {
  readonly where?: string;
  readonly to?: string;
  readonly attempts?: number;
  readonly minBuild?: string;
  readonly atMostOnce?: true;
  readonly needsHuman?: true;
  readonly maxRedrives?: number;
}

export function withRunOptions(command: Command): Command {
  return command
    .argument("[QUEUE ID...]", "a queue, and ids of dead letters in it; or give --where")
    .option("-w, --where <SEARCH>", "those of a search over all queues, as of holdfast dlq search")
    .option("--to <QUEUE>", "run them in another queue")
    .option(
      "--attempts <N>",
      "runs that a task has before it is a dead letter again (1)",
      wholeNumber("--attempts", 1, 1_000),
    )
    .option("--min-build <BUILD>", "only workers of this build or a later one run them (not Go's)")
    .option("--at-most-once", "also tasks that are to run at most once, and may have run")
    .option("--needs-human", "also tasks of which a human is to decide on each")
    .option(
      "--max-redrives <N>",
      "not those that were run again so often (10)",
      wholeNumber("--max-redrives", 1, 1_000),
    );
}

/** @throws OPTION_INVALID */
export function selectionOf(words: readonly string[], { where }: RunFlags): DeadSelection {
  const [queue, ...ids] = words;
  if (where !== undefined && queue !== undefined) throw invalidOption("--where", "cannot be given together with ids");
  if (where !== undefined) return where;
  if (queue === undefined || ids.length === 0)
    throw invalidOption("ID", "which dead letters? Give a queue and ids, or --where with a search");
  return { queue, ids };
}

export function runOptionsOf({ to, attempts, minBuild, atMostOnce, needsHuman, maxRedrives }: RunFlags) {
  return { queue: to, attempts, minBuild, atMostOnce, needsHuman, maxRedrives };
}
