import type { Command } from "commander";
import { allCommands, newProgram } from "../src/cli/program.js";

/** What each command's --help prints, in the order of the tree. */
export function cliHelp(): string {
  const program = newProgram();
  return allCommands(program)
    .map((command) => `### \`${pathOf(command)}\`\n\n\`\`\`text\n${helpOf(command)}\n\`\`\``)
    .join("\n\n");
}

function pathOf(command: Command): string {
  return command.parent === null ? command.name() : `${pathOf(command.parent)} ${command.name()}`;
}

function helpOf(command: Command): string {
  let text = "";
  command.configureOutput({ writeOut: (part) => (text += part), getOutHasColors: () => false });
  command.outputHelp();
  return text.trim();
}
