import { once } from "node:events";
import { printableJson } from "./terminal.js";

let readerIsGone = false;

/** Whoever reads the output may stop reading (`| head`): no failure, and nothing more is written. */
export function minding(stream: NodeJS.WriteStream): void {
  stream.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code !== "EPIPE") throw error;
    if (stream === process.stdout) readerIsGone = true;
  });
}

/** False when nobody reads any more: what only prints may stop. Waits while the reader is slower than we are. */
export async function print(...lines: readonly string[]): Promise<boolean> {
  if (readerIsGone) return false;
  if (lines.length > 0 && !process.stdout.write(`${lines.join("\n")}\n`)) {
    await once(process.stdout, "drain").catch(() => undefined); // Rejects when the reader goes; see minding().
  }
  return !readerIsGone;
}

/** One JSON document. */
export const printJson = (value: unknown): Promise<boolean> => print(printableJson(value, 2));

/** One line of JSON of several (JSON Lines). */
export const printJsonLine = (value: unknown): Promise<boolean> => print(printableJson(value));

/** For people, beside the output: not on a pipe's way. */
export function note(...lines: readonly string[]): void {
  if (lines.length > 0) process.stderr.write(`${lines.join("\n")}\n`);
}
