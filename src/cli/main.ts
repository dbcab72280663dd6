#!/usr/bin/env node
import { CommanderError } from "commander";
import { fail, outputUsageError } from "./failing.js";
import { usageExitCode } from "./exit-codes.js";
import { minding } from "./output.js";
import { allCommands, newProgram } from "./program.js";

minding(process.stdout);
minding(process.stderr);

const program = newProgram();
const json = process.argv.includes("--json");
for (const command of allCommands(program)) {
  command.configureOutput({ outputError: outputUsageError(json) });
  if (!json) command.showHelpAfterError("(--help says more)");
}

try {
  if (process.argv.length === 2) program.outputHelp();
  else await program.parseAsync();
} catch (error) {
  if (error instanceof CommanderError) process.exitCode = error.exitCode === 0 ? 0 : usageExitCode;
  else fail(error, json);
}
