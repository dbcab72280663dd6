import { readFileSync } from "node:fs";
import { buffer } from "node:stream/consumers";
import { invalidOption } from "../../core/errors.js";

/** Bytes as they were given: an argument's text, a file's content, or what comes on standard input (`-`). */
export async function payloadInput(
  text: { readonly flag: string; readonly value: string | undefined },
  file: { readonly flag: string; readonly value: string | undefined },
): Promise<Uint8Array | undefined> {
  if (text.value !== undefined && file.value !== undefined)
    throw invalidOption(file.flag, `cannot be given together with ${text.flag}`);
  if (text.value !== undefined) return Buffer.from(text.value);
  if (file.value === undefined) return undefined;
  if (file.value === "-") return buffer(process.stdin);
  try {
    return readFileSync(file.value);
  } catch (error) {
    const { code = "unknown" } = error as NodeJS.ErrnoException;
    throw invalidOption(file.flag, `must be a file that can be read, got ${JSON.stringify(file.value)} (${code})`);
  }
}
