import { Argument, Command, Option } from "commander";
import { invalidOption } from "../../core/errors.js";
import { type StorageFlags, teaching } from "../flags.js";
import { print } from "../output.js";
import { withStorageOpen } from "../storage.js";
import { type Candidate, completionOf, wordsOf } from "./candidates.js";
import { type Shell, completionScripts, shells } from "./scripts.js";

/** `programOf`: the tree that this command is itself part of. */
export function completionCommand(programOf: () => Command): Command {
  const command = new Command("completion")
    .summary("completion for bash, zsh or fish")
    .description("A script that lets the TAB key complete commands, options, states and names of queues.")
    .addArgument(new Argument("[SHELL]", "which shell").choices(shells))
    .addOption(new Option("--line <LINE>", "for these scripts: what the end of a line may become").hideHelp());
  return teaching(command, [
    "source <(holdfast completion bash)          # in ~/.bashrc",
    "source <(holdfast completion zsh)           # in ~/.zshrc, after compinit",
    "holdfast completion fish > ~/.config/fish/completions/holdfast.fish",
  ]).action(async (shell: Shell | undefined, { line }: { line?: string }) => {
    if (line !== undefined) await print(...(await answers(programOf(), line)));
    else if (shell !== undefined) await print(completionScripts[shell].trimEnd());
    else throw invalidOption("SHELL", `which one? There are ${shells.join(", ")}`);
  });
}

async function answers(program: Command, line: string): Promise<string[]> {
  const [, ...words] = wordsOf(line);
  const completion = completionOf(program, words);
  switch (completion.kind) {
    case "files":
      return [":files"];
    case "words":
      return completion.candidates.map(lineOf);
    case "queues": {
      const names = await queueNames(completion.url === undefined ? {} : { url: completion.url });
      return names.filter((name) => name.startsWith(words.at(-1) ?? "")).map((word) => lineOf({ word, says: "" }));
    }
  }
}

const lineOf = ({ word, says }: Candidate) => (says === "" ? word : `${word}\t${says}`);

/** Nobody waits long for a TAB; and names that only another program writes might mean something to a shell. */
async function queueNames(flags: StorageFlags): Promise<string[]> {
  try {
    const queues = await withStorageOpen(flags, async ({ inspector }) => inspector.queues(), { timeout: "500ms" });
    return queues.map(({ name }) => name).filter((name) => /^[A-Za-z0-9_.:-]{1,128}$/.test(name));
  } catch {
    return []; // Storage is away: there is nothing to offer.
  }
}
