import { createInterface } from "node:readline/promises";
import { invalidOption } from "../core/errors.js";
import { printable } from "./terminal.js";

/** A person said no. */
export class CalledOff extends Error {}

/**
 * Asks before what cannot be undone. Where nobody can be asked, --yes must have been given.
 * @throws OPTION_INVALID CalledOff
 */
export async function confirmed(question: string, flags: { readonly yes?: true }): Promise<void> {
  if (flags.yes === true) return;
  if (!process.stdin.isTTY || !process.stderr.isTTY) {
    throw invalidOption("--yes", `is needed where nobody can be asked: ${question}`);
  }
  const lines = createInterface({ input: process.stdin, output: process.stderr });
  try {
    const ended = new Promise<string>((resolve) => lines.once("close", () => resolve("")));
    const answer = await Promise.race([lines.question(`${printable(question)} [y/N] `), ended]);
    if (!/^y(es)?$/i.test(answer.trim())) throw new CalledOff("nothing was done");
  } finally {
    lines.close();
  }
}
