import { readFileSync } from "node:fs";
import { invalidOption } from "../../core/errors.js";
import type { MonitorConfig } from "../../ops/index.js";

const maxBytes = 1_048_576;

/** What a JSON file says; nothing where none is named. Its fields are checked where they are used. @throws OPTION_INVALID */
export function readConfig(path: string | undefined): MonitorConfig {
  if (path === undefined) return {};
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    throw invalidOption("--config", `cannot be read: ${(error as NodeJS.ErrnoException).code ?? "an error"}`);
  }
  if (text.length > maxBytes) throw invalidOption("--config", `has more than ${maxBytes} bytes`);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    // The parser's own words quote the text, and there may be a secret in it.
    throw invalidOption("--config", "is not JSON");
  }
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw invalidOption("--config", "must hold a JSON object");
  return value;
}
