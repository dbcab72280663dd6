import { writeText } from "../core/write-text.js";
import type { Argument } from "./link.js";

/**
 * Rows of arguments as one: a flat MessagePack array of strings, which scripts read with `cmsgpack.unpack`. As arguments
 * of their own they would cost the client library and the server more than all the rest of a call.
 * Source: https://github.com/msgpack/msgpack/blob/master/spec.md (array 32, str 8, str 16, str 32; Redis knows no bin).
 */
export function packedRows<Row>(rows: readonly Row[], names: readonly (keyof Row)[]): Buffer {
  const packer = new Packer(rows.length * 256 + 8, rows.length * names.length);
  for (const row of rows) for (const name of names) packer.add(row[name] as Argument);
  return packer.finish();
}

class Packer {
  #buffer: Buffer;
  #at = 5;

  constructor(size: number, count: number) {
    this.#buffer = Buffer.allocUnsafe(size);
    this.#buffer[0] = 0xdd;
    this.#buffer.writeUInt32BE(count, 1);
  }

  add(value: Argument): void {
    if (typeof value === "object") {
      this.#reserve(value.length);
      this.#head(value.length);
      this.#buffer.set(value, this.#at);
      this.#at += value.length;
      return;
    }
    const text = typeof value === "number" ? String(value) : value;
    if (text.length > 85) {
      this.add(Buffer.from(text));
      return;
    }
    // Short enough for a length of one byte (UTF-8 takes three bytes a unit at the most): it is filled in afterwards.
    this.#reserve(text.length * 3);
    const length = writeText(this.#buffer, text, this.#at + 2);
    this.#buffer[this.#at] = 0xd9;
    this.#buffer[this.#at + 1] = length;
    this.#at += 2 + length;
  }

  finish(): Buffer {
    return this.#buffer.subarray(0, this.#at);
  }

  #head(length: number): void {
    if (length < 0x100) {
      this.#buffer[this.#at++] = 0xd9;
      this.#buffer[this.#at++] = length;
    } else if (length < 0x10000) {
      this.#buffer[this.#at++] = 0xda;
      this.#at = this.#buffer.writeUInt16BE(length, this.#at);
    } else {
      this.#buffer[this.#at++] = 0xdb;
      this.#at = this.#buffer.writeUInt32BE(length, this.#at);
    }
  }

  #reserve(length: number): void {
    const needed = this.#at + length + 5;
    if (needed <= this.#buffer.length) return;
    const larger = Buffer.allocUnsafe(Math.max(needed, this.#buffer.length * 2));
    larger.set(this.#buffer.subarray(0, this.#at));
    this.#buffer = larger;
  }
}
