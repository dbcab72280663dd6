import { Writer } from "./protobuf.js";

/** What of a stored message is to be other. */
export interface Amendment {
  readonly maxRetry?: number;
  readonly retentionMs?: number;
  readonly headers?: Readonly<Record<string, string>>;
}

const fields = { maxRetry: 5, retention: 12, headers: 15 } as const;

/**
 * A stored task's bytes with other values, appended: of a repeated field the last one counts (codec.ts), and what only
 * another program knows of the message stays as it is.
 */
export function amended(stored: Uint8Array, { maxRetry, retentionMs, headers = {} }: Amendment): Buffer {
  const parts: Uint8Array[] = [stored];
  if (maxRetry !== undefined) parts.push(integer(fields.maxRetry, maxRetry));
  if (retentionMs !== undefined) parts.push(integer(fields.retention, Math.ceil(retentionMs / 1_000)));
  for (const [name, value] of Object.entries(headers)) {
    const entry = new Writer(64);
    entry.bytes(1, Buffer.from(name));
    entry.bytes(2, Buffer.from(value));
    const writer = new Writer(96);
    writer.bytes(fields.headers, entry.finish());
    parts.push(writer.finish());
  }
  return Buffer.concat(parts);
}

/** Zero is written, too: it takes the place of what was there. */
function integer(number: number, value: number): Uint8Array {
  if (value === 0) return Uint8Array.of(number << 3, 0);
  const writer = new Writer(16);
  writer.integer(number, value);
  return writer.finish();
}
