import { isUtf8 } from "node:buffer";
import type { StoredLetter } from "../broker/stored-letter.js";
import { decodeMessage } from "../core/codec.js";
import { lastTimeMs } from "../core/duration.js";
import { readable } from "../core/protobuf.js";

/**
 * A dead letter as one line of JSON, with nothing lost: what `dlq export` writes, a spill file holds and `dlq import` reads.
 * `type` and `archivedAt` are there for people and their tools; `message` is the stored message in base64.
 */

/** Stands in each line, so that a line can be told wherever it is found. A later format has another name. */
const format = "holdfast.dead-letter/1";

/** Without the line's end. */
export function recordLine({ queue, id, archivedAtMs, message, fields }: StoredLetter): string {
  const type = readable(decodeMessage, message)?.type ?? null;
  return JSON.stringify({
    format,
    queue,
    id,
    type,
    archivedAt: new Date(archivedAtMs).toISOString(),
    message: base64(message),
    fields: Object.fromEntries(Array.from(fields, ([name, value]) => [name, written(value)])),
  });
}

/** The dead letter, or what is wrong with the line; never what stands in it. */
export function parseRecord(line: string): StoredLetter | { readonly problem: string } {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return { problem: "it is no JSON" };
  }
  if (typeof value !== "object" || value === null) return { problem: "it is no object" };
  const record = value as Readonly<Record<string, unknown>>;
  if (record["format"] !== format) return { problem: `its format is not "${format}"` };
  const { queue, id } = record;
  if (!isName(queue)) return { problem: "its queue is no name" };
  if (!isName(id)) return { problem: "its id is no name" };
  const archivedAtMs = typeof record["archivedAt"] === "string" ? Date.parse(record["archivedAt"]) : Number.NaN;
  if (!(Math.abs(archivedAtMs) <= lastTimeMs)) return { problem: "its archivedAt is no time" };
  const message = bytesOf(record["message"]);
  if (message === undefined) return { problem: "its message is no base64" };
  const fields = fieldsOf(record["fields"]);
  if (fields === undefined) return { problem: "its fields are no texts" };
  return { queue, id, archivedAtMs, message, fields };
}

const isName = (value: unknown): value is string =>
  typeof value === "string" && value !== "" && value.length <= 1_024 && value.isWellFormed();

const base64 = (bytes: Uint8Array) => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("base64");

/** Text as it is, for those who read the file; other bytes in an object of their own. */
const written = (bytes: Uint8Array) => (isUtf8(bytes) ? Buffer.from(bytes).toString() : { base64: base64(bytes) });

/** Node's decoder leaves out what is no base64, which would be another message. */
function bytesOf(text: unknown): Uint8Array | undefined {
  if (typeof text !== "string") return undefined;
  const bytes = Buffer.from(text, "base64");
  return base64(bytes) === text ? bytes : undefined;
}

function fieldsOf(value: unknown): ReadonlyMap<string, Uint8Array> | undefined {
  if (value === undefined) return new Map();
  if (typeof value !== "object" || value === null || Array.isArray(value)) return undefined;
  const fields = new Map<string, Uint8Array>();
  for (const [name, field] of Object.entries(value)) {
    const bytes = typeof field === "string" ? Buffer.from(field) : bytesOf((field as { base64?: unknown })?.base64);
    if (bytes === undefined || !isName(name)) return undefined;
    fields.set(name, bytes);
  }
  return fields;
}
