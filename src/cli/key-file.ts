import { readFileSync } from "node:fs";
import { Option } from "commander";
import { invalidOption } from "../core/errors.js";

export interface KeyFileFlags {
  readonly keyFile?: string | undefined;
}

/** A file and not the key itself: other users of a machine can read a program's arguments. */
export const keyFileOption = (says: string) => new Option("--key-file <FILE>", `${says}: 32 bytes, or those in base64`);

/** @throws OPTION_INVALID */
export function keyOf({ keyFile }: KeyFileFlags): Uint8Array | string | undefined {
  if (keyFile === undefined) return undefined;
  try {
    const bytes = readFileSync(keyFile);
    return bytes.length === 32 ? bytes : bytes.toString("utf8").trim();
  } catch (error) {
    throw invalidOption("--key-file", `cannot be read: ${(error as Error).message}`);
  }
}
