import ansis from "ansis";
import { HoldfastError } from "../core/errors.js";
import { CalledOff } from "./confirm.js";
import { calledOffExitCode, exitCodeOf, isSystemError } from "./exit-codes.js";
import { printableJson, wrapped } from "./terminal.js";

/**
 * One sentence for people and the code to look up, or one JSON document for programs, on standard error; a stack only for
 * what is not ours, for that is a bug.
 */
export function fail(error: unknown, json: boolean): void {
  if (error instanceof CalledOff) {
    process.exitCode = calledOffExitCode;
    console.error(`holdfast: ${error.message}`);
    return;
  }
  process.exitCode = exitCodeOf(error);
  if (json) {
    const { code = "BUG", message = String(error), data } = error as Partial<HoldfastError>;
    console.error(printableJson({ error: { code, message, ...(data === undefined ? {} : { data }) } }));
  } else if (error instanceof HoldfastError) {
    const isInterrupted = error.code === "BULK_INTERRUPTED" || error.code === "RUN_INTERRUPTED";
    const because = isInterrupted && error.cause instanceof Error ? `: ${error.cause.message}` : "";
    const sentence = wrapped(`holdfast: ${error.message}${because} [${error.code}]`).join("\n");
    console.error(ansis.red(sentence));
  } else if (isSystemError(error)) {
    console.error(ansis.red(wrapped(`holdfast: ${error.message}`).join("\n")));
  } else {
    console.error(error);
  }
}

/** What the parser has to say of a wrong call, in the same two forms. */
export function outputUsageError(json: boolean): (text: string, write: (text: string) => void) => void {
  return (text, write) => {
    const said = text
      .replace(/^error: /, "holdfast: ")
      .split("\n")
      .flatMap((line) => wrapped(line));
    if (!json) write(said.join("\n"));
    else if (text.startsWith("error: ")) {
      const message = text.slice("error: ".length).trim();
      write(`${printableJson({ error: { code: "USAGE", message } })}\n`);
    }
  };
}
