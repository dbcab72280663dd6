#!/usr/bin/env node
import ansis from "ansis";
import { Command, CommanderError } from "commander";
import { HoldfastError } from "../index.js";
import { demoCommand } from "./demo/command.js";
import { exitCodeOf, usageExitCode } from "./exit-codes.js";
import { packageVersion } from "./package-root.js";
import { printable, wrapped } from "./terminal.js";

const program = new Command("holdfast")
  .description("A task queue for Node.js on Redis, or on one file; wire-compatible with Go's asynq.")
  .version(packageVersion())
  .addHelpText("after", "\nStart with:\n  holdfast demo --help")
  .addCommand(demoCommand());
for (const command of [program, ...program.commands]) {
  command
    .exitOverride()
    .showHelpAfterError("(--help says more)")
    .configureOutput({ outputError: (text, write) => write(text.replace(/^error: /, "holdfast: ")) });
}

// Whoever reads the output may stop reading (`| head`): no reason to stop working, nor to fail.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code !== "EPIPE") throw error;
});

try {
  await program.parseAsync();
} catch (error) {
  if (error instanceof CommanderError) process.exitCode = error.exitCode === 0 ? 0 : usageExitCode;
  else fail(error);
}

/** One sentence for people and the code to look up; a stack only for what is not ours, for that is a bug. */
function fail(error: unknown): void {
  process.exitCode = exitCodeOf(error);
  if (error instanceof HoldfastError) {
    const sentence = wrapped(`holdfast: ${printable(error.message)} [${error.code}]`).join("\n");
    console.error(ansis.red(sentence));
  } else {
    console.error(error);
  }
}
