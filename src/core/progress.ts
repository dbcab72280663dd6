import { invalidOption, shown } from "./errors.js";

/** Bytes of JSON. */
const maxProgressBytes = 4_096;

/** @throws OPTION_INVALID for what JSON cannot tell, or tells in more than 4 KiB */
export function encodeProgress(value: unknown): Buffer {
  let text: string | undefined;
  try {
    text = JSON.stringify(value);
  } catch {
    // A cycle, a bigint, a toJSON that throws: it cannot be told either.
  }
  if (text === undefined) throw invalidOption("progress", `must be a JSON value, got ${shown(value)}`);
  const bytes = Buffer.from(text);
  if (bytes.length > maxProgressBytes) {
    throw invalidOption("progress", `has ${bytes.length} bytes as JSON, at most ${maxProgressBytes} are allowed`);
  }
  return bytes;
}
