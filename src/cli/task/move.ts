import { Command } from "commander";
import { count, counted } from "../../core/counting.js";
import type { TaskState } from "../../core/state.js";
import type { IdsMoved, StateMoved } from "../../index.js";
import { confirmed } from "../confirm.js";
import { type ActFlags, queueAndRest, queueOption, stateOption, teaching, wholeNumber, withActing } from "../flags.js";
import { print, printJson } from "../output.js";
import { ProgressLine } from "../progress-line.js";
import { untilStopped } from "../stopping.js";
import { type Opened, actOf, withStorageOpen } from "../storage.js";
import { invalidOption } from "../../core/errors.js";
import { receiptLines, receiptsExitCode } from "./receipts.js";

type Verb = "run" | "archive" | "delete";

interface Flags extends ActFlags {
  readonly queue?: string;
  readonly state?: TaskState;
  readonly type?: string;
  readonly group?: string;
  readonly limit?: number;
  readonly attempts?: number;
  readonly yes?: true;
}

const done: Record<Verb, string> = { run: "will run", archive: "archived", delete: "deleted" };
const asked: Record<Verb, string> = { run: "Run", archive: "Archive", delete: "Delete" };

const states: Record<Verb, readonly TaskState[]> = {
  run: ["scheduled", "retry", "archived", "completed", "aggregating"],
  archive: ["pending", "scheduled", "retry", "completed", "aggregating"],
  delete: ["pending", "scheduled", "retry", "archived", "completed", "aggregating"],
};

const notes =
  "By ids each is answered. By --state all that are there at the beginning are done, in batches; Ctrl-C stops between " +
  "two of them and says how many were done.";

export function runCommand(): Command {
  const command = moving("run")
    .summary("let tasks run now: dead letters, retries, scheduled ones")
    .description(
      "Let tasks run now, wherever they are: dead letters, retries, scheduled ones, completed ones once more.",
    )
    .option(
      "--attempts <N>",
      "runs that a task has at least before it is a dead letter again",
      wholeNumber("--attempts", 1, 1_000),
    );
  return teaching(
    command,
    [
      "holdfast task run default 0199cc0e-3f2a-7c51-9d0b-6a54a9f3d0c1",
      "holdfast task run email --state archived --type email:welcome",
      'holdfast task run email --state archived --reason "smtp is back"',
      "holdfast task run email --state archived --limit 100 --attempts 3",
    ],
    notes,
  ).action(act("run"));
}

export function archiveCommand(): Command {
  const command = moving("archive")
    .summary("make dead letters of tasks: kept, but not run")
    .description("Make dead letters of tasks: they are kept, and not run until somebody says so.")
    .option("-y, --yes", "do not ask");
  return teaching(
    command,
    [
      "holdfast task archive default 0199cc0e-3f2a-7c51-9d0b-6a54a9f3d0c1",
      "holdfast task archive default --state retry --type report:daily --yes",
    ],
    notes,
  ).action(act("archive"));
}

export function deleteCommand(): Command {
  const command = moving("delete")
    .alias("rm")
    .summary("delete tasks, for good")
    .description("Delete tasks, for good; their unique locks are released.")
    .option("-y, --yes", "do not ask");
  return teaching(
    command,
    [
      "holdfast task delete default 0199cc0e-3f2a-7c51-9d0b-6a54a9f3d0c1",
      "holdfast task delete default --state completed --yes",
    ],
    notes,
  ).action(act("delete"));
}

function moving(verb: Verb): Command {
  return withActing(
    new Command(verb)
      .argument("[QUEUE]", "the queue")
      .argument("[ID...]", "ids of tasks; or give a --state")
      .addOption(queueOption())
      .addOption(stateOption(states[verb]))
      .option("-t, --type <TYPE>", "with --state: only tasks of this type")
      .option("-g, --group <GROUP>", "with --state aggregating: only tasks of this group")
      .option("--limit <N>", "with --state: at most so many tasks", wholeNumber("--limit", 1, 1e9)),
  );
}

const act = (verb: Verb) => async (first: string | undefined, rest: readonly string[], flags: Flags) => {
  const [queue, ids] = queueAndRest(flags, first === undefined ? rest : [first, ...rest]);
  requireOneWay(ids, flags);
  await withStorageOpen(flags, async (opened) =>
    flags.state === undefined
      ? byIds(verb, opened, queue, ids, flags)
      : byState(verb, opened, queue, flags.state, flags),
  );
};

/** @throws OPTION_INVALID */
function requireOneWay(ids: readonly string[], { state, type, group, limit }: Flags): void {
  if (ids.length === 0 && state === undefined)
    throw invalidOption("ID", "which tasks? Give ids, or all of a --state (and --type)");
  for (const [name, value] of Object.entries({ state, type, group, limit })) {
    if (ids.length > 0 && value !== undefined) throw invalidOption(`--${name}`, "cannot be given together with ids");
  }
}

async function byIds(verb: Verb, { inspector }: Opened, queue: string, ids: readonly string[], flags: Flags) {
  const options = { ...(await actOf(flags, inspector)), ...attemptsOf(flags) };
  const { receipts } = await untilStopped<IdsMoved>(async (signal) =>
    inspector[verb]({ queue, ids }, { ...options, signal }),
  );
  const answers = receipts.map(({ id, status }) => ({ id, done: status === "moved", status }));
  receiptsExitCode(answers);
  if (flags.json === true) await printJson({ queue, receipts });
  else await print(...receiptLines(answers, queue, done[verb]));
}

const attemptsOf = ({ attempts }: Flags) => (attempts === undefined ? {} : { attempts });

async function byState(verb: Verb, { inspector }: Opened, queue: string, state: TaskState, flags: Flags) {
  const { type, group, limit } = flags;
  if (verb !== "run") {
    const there = count((await inspector.queue(queue)).counts[state]);
    const which =
      type === undefined ? `${there} ${state} tasks` : `tasks of type "${type}" among ${there} ${state} ones`;
    const most = limit === undefined ? "" : `, ${count(limit)} of them at the most`;
    const word = verb === "delete" ? queue : undefined;
    await confirmed(`${asked[verb]} the ${which} of queue "${queue}"${most}?`, flags, word);
  }
  const selection = {
    queue,
    state,
    ...(type === undefined ? {} : { type }),
    ...(group === undefined ? {} : { group }),
  };
  const progress = new ProgressLine(process.stderr, done[verb]);
  const options = {
    ...(await actOf(flags, inspector)),
    ...attemptsOf(flags),
    ...(limit === undefined ? {} : { limit }),
    onProgress: progress.show,
  };
  let stopped = false;
  const result = await untilStopped<StateMoved>(async (signal) => {
    try {
      return await inspector[verb](selection, { ...options, signal });
    } finally {
      stopped = signal.aborted;
      progress.end();
    }
  });
  if (flags.json === true) {
    const { moved, skipped, scanned, cursor } = result;
    await printJson({ ...selection, verb, moved, skipped, scanned, all: cursor === undefined, calledOff: stopped });
  } else await print(...resultLines(verb, result, stopped));
}

function resultLines(verb: Verb, { moved, skipped, cursor }: StateMoved, stopped: boolean): string[] {
  const lines = [`${counted(moved, "task")} ${done[verb]}`];
  if (skipped > 0) lines.push(`${count(skipped)} skipped: they had moved on meanwhile, or are no tasks`);
  if (stopped) lines.push("called off: the rest is untouched; the same command goes on");
  else if (cursor !== undefined) lines.push("there are more; the same command goes on");
  return lines;
}
