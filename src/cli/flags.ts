import { Argument, type Command, Option } from "commander";
import { invalidOption, shown } from "../core/errors.js";
import { type TaskState, taskStates } from "../core/state.js";
import { wrapped } from "./terminal.js";

/** Of every command that opens storage. */
export interface StorageFlags {
  readonly url?: string;
  readonly json?: true;
}

/** Of every command that changes something. */
export interface ActFlags extends StorageFlags {
  readonly actor?: string;
  readonly reason?: string;
}

export function withStorage(command: Command): Command {
  return command
    .addOption(
      new Option("--url <URL>", "where it is: redis:, rediss:, file: …; else HOLDFAST_URL").helpGroup(storageGroup),
    )
    .addOption(new Option("--json", "print JSON, for programs").helpGroup(storageGroup));
}

const storageGroup = "Storage and output:";

export function withActing(command: Command): Command {
  return withStorage(command)
    .addOption(new Option("--reason <TEXT>", "why; kept with the act").helpGroup(actGroup))
    .addOption(new Option("--actor <NAME>", "who; your user, host and Redis user unless given").helpGroup(actGroup));
}

const actGroup = "Who and why:";

/** The queue comes first, or as an option, as in asynq's program. */
export const queueOption = () => new Option("-q, --queue <QUEUE>", "the queue, instead of the first argument");
export const queueArgument = () => new Argument("[QUEUE]", "the queue");

/** @throws OPTION_INVALID */
export function queueAndRest(
  flags: { readonly queue?: string },
  words: readonly string[],
): [string, readonly string[]] {
  if (flags.queue !== undefined) return [flags.queue, words];
  const [queue, ...rest] = words;
  if (queue === undefined) throw invalidOption("QUEUE", "which queue? It comes first, or as --queue QUEUE");
  return [queue, rest];
}

/** What the states are called in tables, as words for --state too. */
const otherWords: Readonly<Record<string, TaskState>> = { dead: "archived", done: "completed" };

/** An option of which completion knows the values. */
export class WordOption extends Option {
  readonly words: readonly string[];
  constructor(flags: string, description: string, words: readonly string[]) {
    super(flags, description);
    this.words = words;
  }
}

export function stateOption(states: readonly TaskState[] = taskStates): Option {
  return new WordOption("-s, --state <STATE>", states.join(", "), states).argParser((word) => {
    const state = otherWords[word] ?? (word as TaskState);
    if (states.includes(state)) return state;
    throw invalidOption("--state", `must be one of ${states.join(", ")}, got ${shown(word)}`);
  });
}

/** A whole number on the command line. */
export function wholeNumber(option: string, min: number, max: number): (word: string) => number {
  return (word) => {
    const value = /^\d+$/.test(word) ? Number(word) : Number.NaN;
    if (value >= min && value <= max) return value;
    throw invalidOption(option, `must be a whole number, ${min} … ${max}, got ${shown(word)}`);
  };
}

/** Local time would mean another moment on another machine. @throws OPTION_INVALID */
export function dateOf(word: string, option: string): Date {
  const date = new Date(word);
  if (/^\d{4}-\d\d-\d\dT\d\d:\d\d.*(Z|[+-]\d\d:?\d\d)$/i.test(word) && !Number.isNaN(date.getTime())) return date;
  throw invalidOption(option, `must be a time with its zone, such as 2026-11-22T15:04:05Z, got ${shown(word)}`);
}

/** What a command's help ends with: commands to copy, and what else there is to know. */
export function teaching(command: Command, examples: readonly string[], more = ""): Command {
  const text = ["", "Examples:", ...examples.map((line) => `  ${line}`)];
  if (more !== "") text.push("", ...wrapped(more, "", "", helpWidth));
  return command.addHelpText("after", text.join("\n"));
}

/** Help is as wide as the smallest usual terminal, wherever it is printed. */
export const helpWidth = 80;
