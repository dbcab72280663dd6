import { hasControl, invalidOption, shown } from "./errors.js";

/** Queue names that may be written. Braces would move keys to another Cluster slot, `*` and `?` are key patterns. */
const queuePattern = /^[A-Za-z0-9_.:-]{1,128}$/;

/** @throws OPTION_INVALID unless the name is 1 to 128 letters, digits or `_ . : -` */
export function queueName(value: unknown, option = "queue"): string {
  if (typeof value !== "string" || !queuePattern.test(value)) {
    throw invalidOption(option, `must be 1 to 128 letters, digits or _ . : -, got ${shown(value)}`);
  }
  return value;
}

const encoder = new TextEncoder();

/** A task's type or id. @throws OPTION_INVALID unless it is 1 to 256 bytes of UTF-8, not blank, without control characters */
export function taskName(value: unknown, option: string): string {
  if (
    typeof value !== "string" ||
    value.trim() === "" ||
    hasControl(value) ||
    !value.isWellFormed() ||
    (value.length > 85 && encoder.encode(value).length > 256)
  ) {
    throw invalidOption(option, `must be 1 to 256 bytes of text without control characters, got ${shown(value)}`);
  }
  return value;
}

/** A sentence or a name for people. @throws OPTION_INVALID unless it is 1 to `max` characters without control characters */
export function plainText(value: unknown, option: string, max: number): string {
  if (typeof value !== "string" || value.trim() === "" || value.length > max || hasControl(value)) {
    throw invalidOption(
      option,
      `must be 1 to ${max} characters of text without control characters, got ${shown(value)}`,
    );
  }
  return value;
}

/**
 * A queue, a type or an id that another program may have chosen: whatever can be a key.
 * @throws OPTION_INVALID unless it is 1 to 1,024 characters of well-formed text
 */
export function storedName(value: unknown, option: string): string {
  if (typeof value !== "string" || value === "" || value.length > 1_024 || !value.isWellFormed()) {
    throw invalidOption(option, `must be 1 to 1024 characters of text, got ${shown(value)}`);
  }
  return value;
}

export type Headers = Readonly<Record<string, string>>;
export const noHeaders: Headers = Object.freeze(Object.create(null) as Record<string, string>);
const maxHeaderBytes = 16_384;

/** Headers as a record without a prototype. @throws OPTION_INVALID for a value that is no string, or past 16 KiB in all */
export function taskHeaders(value: unknown, option: string): Headers {
  // A Map or a fetch Headers has no entries of its own: it would pass for an empty object, and be lost.
  if (typeof value !== "object" || value === null || Symbol.iterator in value) {
    throw invalidOption(option, `must be an object of strings, got ${shown(value)}`);
  }
  const headers = Object.create(null) as Record<string, string>;
  let bytes = 0;
  for (const [name, text] of Object.entries(value)) {
    const at = `${option}.${name.slice(0, 64)}`;
    if (name === "__proto__") throw invalidOption(at, "is not allowed as a name");
    if (name === "" || hasControl(name) || !name.isWellFormed()) {
      throw invalidOption(at, "a name must be text without control characters");
    }
    if (typeof text !== "string") throw invalidOption(at, `must be a string, got a value of type ${typeof text}`);
    if (!text.isWellFormed()) throw invalidOption(at, "must be well-formed Unicode (it holds a lone surrogate)");
    bytes += encoder.encode(name).length + encoder.encode(text).length;
    headers[name] = text;
  }
  if (bytes > maxHeaderBytes) throw invalidOption(option, `has ${bytes} bytes, at most ${maxHeaderBytes} are allowed`);
  return headers;
}

/** Header of a task whose definition says what its side effects ask for: "idempotent" or "needs-human". */
export const sideEffectsHeader = "holdfast-side-effects";
