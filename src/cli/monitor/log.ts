import { systemClock } from "../../core/clock.js";
import type { Logger } from "../../core/log.js";
import { printable } from "../../core/printable.js";
import { printableJson } from "../terminal.js";

type Level = "info" | "warn" | "error";

/** A line an event, for people or, as JSON, for programs. */
export function logTo(stream: { write(text: string): unknown }, json: boolean): Logger {
  const line = (level: Level) => (fields: object, sentence: string) => {
    const plain = Object.fromEntries(Object.entries(fields).map(([name, value]) => [name, plainOf(value)]));
    const at = new Date(systemClock.nowMs()).toISOString();
    if (json) stream.write(`${printableJson({ at, level, message: sentence, ...plain })}\n`);
    else {
      const rest = Object.entries(plain).map(([name, value]) => ` ${name}=${printable(String(value))}`);
      stream.write(`${at} ${level} ${printable(sentence)}${rest.join("")}\n`);
    }
  };
  return { debug() {}, info: line("info"), warn: line("warn"), error: line("error") };
}

/** Of an error its sentence: ours hold no secrets, and a stack helps nobody who operates. */
const plainOf = (value: unknown): unknown => (value instanceof Error ? value.message : value);
