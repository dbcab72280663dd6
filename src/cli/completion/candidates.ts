import type { Command, Option } from "commander";
import { WordOption } from "../flags.js";

export interface Candidate {
  readonly word: string;
  readonly says: string;
}

/** What may stand at the end of a line: words, names of files, or names of queues, which storage knows. */
export type Completion =
  | { readonly kind: "words"; readonly candidates: readonly Candidate[] }
  | { readonly kind: "files" }
  | { readonly kind: "queues"; readonly url: string | undefined };

/** What the last of these words may become; they follow the program's name. */
export function completionOf(program: Command, words: readonly string[]): Completion {
  const place = placeOf(program, words.slice(0, -1));
  const begun = words.at(-1) ?? "";
  const { command, option } = place;
  if (option !== undefined) return valuesOf(option, place, begun);
  if (begun.startsWith("-")) return matching(begun, optionsOf(command));
  if (command.commands.length > 0) {
    return matching(
      begun,
      command
        .createHelp()
        .visibleCommands(command)
        .map((sub) => ({ word: sub.name(), says: sub.summary() })),
    );
  }
  const { registeredArguments: all } = command;
  const argument = all[place.position] ?? (all.at(-1)?.variadic === true ? all.at(-1) : undefined);
  if (argument === undefined) return matching(begun, []);
  if (argument.argChoices !== undefined) {
    return matching(
      begun,
      argument.argChoices.map((word) => ({ word, says: "" })),
    );
  }
  if (argument.name() === "QUEUE" && !place.queueGiven) return { kind: "queues", url: place.url };
  return argument.name() === "DIR" ? { kind: "files" } : matching(begun, []);
}

interface Place {
  readonly command: Command;
  /** The option whose value comes next. */
  readonly option: Option | undefined;
  /** How many arguments came already. */
  readonly position: number;
  readonly queueGiven: boolean;
  readonly url: string | undefined;
}

/** Where one is after these words, as far as they can be understood. */
function placeOf(program: Command, words: readonly string[]): Place {
  let command = program;
  let option: Option | undefined;
  let position = 0;
  let queueGiven = false;
  let url: string | undefined;
  for (const word of words) {
    const known = command.options.find((one) => one.long === word || one.short === word);
    if (option !== undefined && !(option.optional && word.startsWith("-"))) {
      if (option.long === "--url") url = word;
      option = undefined;
    } else if (word.startsWith("-")) {
      queueGiven ||= known?.long === "--queue" || word.startsWith("--queue=");
      option = known?.required === true || known?.optional === true ? known : undefined;
    } else {
      const below = command.commands.find((one) => one.name() === word || one.aliases().includes(word));
      if (below === undefined) position += 1;
      else command = below;
    }
  }
  return { command, option, position, queueGiven, url };
}

function valuesOf(option: Option, { url }: Place, begun: string): Completion {
  if (option instanceof WordOption) {
    return matching(
      begun,
      option.words.map((word) => ({ word, says: "" })),
    );
  }
  if (option.long === "--queue") return { kind: "queues", url };
  return option.flags.includes("FILE") ? { kind: "files" } : matching(begun, []);
}

function optionsOf(command: Command): Candidate[] {
  return command
    .createHelp()
    .visibleOptions(command)
    .map((option) => ({ word: option.long!, says: option.description }));
}

function matching(begun: string, candidates: readonly Candidate[]): Completion {
  return { kind: "words", candidates: candidates.filter(({ word }) => word.startsWith(begun)) };
}

/** A line as a shell splits it, roughly: quotes and backslashes count, and the last word may be empty or unfinished. */
export function wordsOf(line: string): string[] {
  const words = [""];
  for (const [, quoted1, quoted2, escaped, blank, plain] of line.matchAll(
    /'([^']*)'?|"((?:[^"\\]|\\.)*)"?|\\(.)|(\s+)|([^\s'"\\]+)/g,
  )) {
    if (blank !== undefined) words.push("");
    else words[words.length - 1] += quoted1 ?? quoted2?.replaceAll(/\\(.)/g, "$1") ?? escaped ?? plain ?? "";
  }
  return words;
}
