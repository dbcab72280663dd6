import { inspect } from "node:util";
import { Command } from "commander";
import ansis from "ansis";
import { count } from "../../core/counting.js";
import { HoldfastError, invalidOption } from "../../core/errors.js";
import { printable } from "../../core/printable.js";
import type { ReplayResult } from "../../deadletter/index.js";
import { queueOption, type StorageFlags, teaching, withStorage } from "../flags.js";
import { note, print, printJson } from "../output.js";
import { untilStopped } from "../stopping.js";
import { findAnywhere } from "../task/find.js";
import { wrapped } from "../terminal.js";
import { span } from "../times.js";
import { loadModule } from "./module.js";
import { withDeadLetters } from "./open.js";

interface Flags extends StorageFlags {
  readonly queue?: string;
  readonly local?: true;
  readonly export?: string;
}

/** Of these a person sees a few lines. */
const mostResult = 4_000;

export function replayCommand(): Command {
  const command = new Command("replay")
    .summary("run a handler on a dead letter here, under a debugger if you like")
    .description(
      "Run a handler on a dead letter in this process, and leave the dead letter as it is. What the handler does beyond " +
        "that (mails, other databases) it does. No timeout runs.",
    )
    .argument("<ID>", "the dead letter; looked for in all queues unless --queue says which")
    .argument("<HANDLER>", "a module (.js, .mjs, .ts) with the handler as its default export, or as `handler`")
    .addOption(queueOption())
    .option("--local", "here and nowhere else: has to be said, for workers run tasks by holdfast task run")
    .option("--export <NAME>", "the handler is this export of the module");
  return teaching(
    withStorage(command),
    [
      "holdfast dlq replay --local 0199cc0e-3f2a-7c51-9d0b-6a54a9f3d0c1 ./send.js",
      "node --inspect-brk node_modules/.bin/holdfast dlq replay --local ID ./send.js",
      'NODE_OPTIONS="--import tsx" holdfast dlq replay --local ID ./send.ts',
    ],
    "With a debugger attached it stops right before the handler is called. A definition of the task's type that the module exports reads the payload and says when a failure would be tried again. Exit code 1: the handler failed.",
  ).action(async (id: string, file: string, flags: Flags) => {
    if (flags.local !== true)
      throw invalidOption("--local", "must be given: a worker runs the task by holdfast task run");
    await withDeadLetters(flags, async (opened) => {
      const { inspector, letters } = opened;
      const task =
        flags.queue === undefined ? await findAnywhere(opened, id) : await inspector.require(flags.queue, id);
      const type = task.message?.type ?? "";
      const { handler, definition } = await loadModule(file, "HANDLER", type, flags.export);
      if (handler === undefined)
        throw invalidOption(
          "HANDLER",
          `must export a function: as its default, as \`handler\`, or name it by --export`,
        );
      const people = flags.json !== true;
      if (people) note(...wrapped(`Running ${type} on ${task.id} (queue ${task.queue}) here …`));
      const told = await untilStopped((signal) =>
        letters.replay(task.queue, task.id, handler, {
          definition,
          signal,
          onProgress: (value) => people && note(`progress  ${printable(JSON.stringify(value))}`),
          onLog: (line) => people && note(`log       ${printable(line)}`),
          onStart: stopForDebugger,
        }),
      );
      if (told.status === "failed") process.exitCode = 1;
      if (people) await print(...lines(told));
      else await printJson({ queue: task.queue, id: task.id, ...json(told) });
    });
  });
}

/** Nothing, unless a debugger is attached: the next step is the handler. */
function stopForDebugger(): void {
  // oxlint-disable-next-line no-debugger -- what this is for
  debugger;
}

function lines(told: ReplayResult): string[] {
  const took = `in ${span(told.durationMs)}, as attempt ${told.attempt}; the dead letter is as it was`;
  if (told.status === "completed") {
    const result = told.result === undefined ? [] : ["", ...textOf(told.result).split("\n").map(printable)];
    return [`${ansis.green("completed")}  ${took}`, ...result];
  }
  const { error, outcome } = told;
  const text = error instanceof Error ? (error.stack ?? `${error.name}: ${error.message}`) : textOf(error);
  return [
    `${ansis.red("failed")}  ${took}`,
    "",
    ...text
      .slice(0, mostResult)
      .split("\n")
      .flatMap((line) => wrapped(line)),
    "",
    ...wrapped(`In a worker ${meaning(outcome)}.`),
  ];
}

function meaning(outcome: Extract<ReplayResult, { status: "failed" }>["outcome"]): string {
  switch (outcome.kind) {
    case "retry":
      return `it would be tried again${outcome.counts ? "" : ", which counts as no failure"}`;
    case "archived":
      return `it would be a dead letter again (${outcome.failure.reason})`;
    case "revoked":
      return "it would be forgotten (Revoke)";
    case "completed":
    case "released":
      return "it would go back to its queue";
  }
}

function textOf(value: unknown): string {
  const text = value instanceof Uint8Array ? `${count(value.length)} bytes` : asJson(value, 2);
  return (text ?? inspect(value)).slice(0, mostResult);
}

/** Undefined where it is none: a worker does not care for a result that nobody keeps, whatever it is. */
function asJson(value: unknown, indent?: number): string | undefined {
  try {
    return JSON.stringify(value, undefined, indent);
  } catch {
    return undefined;
  }
}

function json(told: ReplayResult) {
  const { status, attempt, durationMs } = told;
  if (status === "completed") {
    const { result = null } = told;
    return { status, attempt, durationMs, result: asJson(result) === undefined ? inspect(result) : result };
  }
  const { error, outcome } = told;
  const known = HoldfastError.is(error, "PAYLOAD_INVALID") ? { code: error.code } : {};
  const { name, message } = error instanceof Error ? error : { name: typeof error, message: String(error) };
  return { status, attempt, durationMs, error: { class: name, message, ...known }, wouldBe: outcome.kind };
}
