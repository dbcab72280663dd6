import { createInterface } from "node:readline/promises";
import { invalidOption } from "../core/errors.js";
import { printable } from "../core/printable.js";

/** A person said no. */
export class CalledOff extends Error {}

/**
 * Asks before what cannot be undone; with a word, which is to be typed, before what many have lost by a quick "y". Where
 * nobody can be asked, --yes must have been given.
 * @throws OPTION_INVALID CalledOff
 */
export async function confirmed(question: string, flags: { readonly yes?: true }, word?: string): Promise<void> {
  if (flags.yes === true) return;
  if (!process.stdin.isTTY || !process.stderr.isTTY) {
    throw invalidOption("--yes", `is needed where nobody can be asked: ${question}`);
  }
  const lines = createInterface({ input: process.stdin, output: process.stderr });
  try {
    const ended = new Promise<string>((resolve) => lines.once("close", () => resolve("")));
    const how = word === undefined ? "[y/N]" : `Type ${printable(word)} to go on:`;
    const answer = await Promise.race([lines.question(`${printable(question)} ${how} `), ended]);
    const agreed = word === undefined ? /^y(es)?$/i.test(answer.trim()) : answer.trim() === word;
    if (!agreed) throw new CalledOff("nothing was done");
  } finally {
    lines.close();
  }
}
