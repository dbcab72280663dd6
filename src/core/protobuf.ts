import { isUtf8 } from "node:buffer";
import { lastTimeMs } from "./duration.js";
import { HoldfastError } from "./errors.js";
import { writeText } from "./write-text.js";

/** Protobuf on the wire, as far as asynq's messages use it. Source: https://protobuf.dev/programming-guides/encoding */

const varint = 0;
const fixed64 = 1;
/** The wire type of text, bytes and messages inside messages; numbers have 0. */
export const bytes = 2;
const fixed32 = 5;

/** Fields in ascending order; zero values are left out, as Go leaves them out. */
export class Writer {
  #buffer: Buffer;
  #at = 0;

  constructor(size: number) {
    this.#buffer = Buffer.allocUnsafe(size);
  }

  text(number: number, value: string): void {
    if (value === "") return;
    // Three bytes a UTF-16 unit is the most that UTF-8 needs; short strings are written without measuring them first.
    if (value.length < 42) {
      this.#reserve(value.length * 3 + 2);
      const start = this.#at + 2;
      const length = writeText(this.#buffer, value, start);
      this.#buffer[this.#at] = (number << 3) | bytes;
      this.#buffer[this.#at + 1] = length;
      this.#at = start + length;
    } else {
      this.bytes(number, Buffer.from(value));
    }
  }

  bytes(number: number, value: Uint8Array): void {
    this.#reserve(value.length + 6);
    this.#buffer[this.#at++] = (number << 3) | bytes;
    this.#varint(value.length);
    this.#buffer.set(value, this.#at);
    this.#at += value.length;
  }

  integer(number: number, value: number): void {
    if (value === 0) return;
    this.#reserve(11);
    this.#buffer[this.#at++] = number << 3;
    this.#varint(value);
  }

  /** One that no JavaScript number need hold. */
  int64(number: number, value: bigint): void {
    if (value === 0n) return;
    this.#reserve(11);
    this.#buffer[this.#at++] = number << 3;
    this.#varint64(value);
  }

  /** A true one, of a number beyond those that one byte tells. */
  flag(number: number): void {
    this.#reserve(11);
    this.#varint(number << 3);
    this.#varint(1);
  }

  finish(): Buffer {
    return this.#buffer.subarray(0, this.#at);
  }

  #varint(value: number): void {
    if (value >= 0 && value <= 0x7fffffff) {
      let rest = value;
      while (rest > 0x7f) {
        this.#buffer[this.#at++] = (rest & 0x7f) | 0x80;
        rest >>>= 7;
      }
      this.#buffer[this.#at++] = rest;
      return;
    }
    this.#varint64(BigInt(value));
  }

  #varint64(value: bigint): void {
    let rest = BigInt.asUintN(64, value);
    while (rest > 0x7fn) {
      this.#buffer[this.#at++] = Number(rest & 0x7fn) | 0x80;
      rest >>= 7n;
    }
    this.#buffer[this.#at++] = Number(rest);
  }

  #reserve(size: number): void {
    if (this.#at + size <= this.#buffer.length) return;
    const larger = Buffer.allocUnsafe(Math.max(this.#buffer.length * 2, this.#at + size));
    larger.set(this.#buffer.subarray(0, this.#at));
    this.#buffer = larger;
  }
}

/** Times beyond this many seconds are read as this one (year 275760). */
const maxSeconds = BigInt(lastTimeMs / 1_000);

export class Reader {
  readonly #buffer: Buffer;
  /** Where this buffer begins in the message, so that errors name the place in the whole. */
  readonly #base: number;
  #at = 0;
  /** A count or a time was below nothing. */
  hadNegative = false;

  constructor(stored: Uint8Array, base = 0) {
    this.#buffer = Buffer.isBuffer(stored) ? stored : Buffer.from(stored.buffer, stored.byteOffset, stored.byteLength);
    this.#base = base;
  }

  more(): boolean {
    return this.#at < this.#buffer.length;
  }

  tag(): number {
    const start = this.#at;
    const tag = this.#smallVarint();
    if (tag >>> 3 === 0 || tag > 0xffffffff) this.#fail("field number out of range", start);
    return tag;
  }

  text(): string {
    const start = this.#at;
    const length = this.#smallVarint();
    const from = this.#at;
    this.#advance(length);
    // Types, ids and queues are short and ASCII, nearly always: nothing to validate, nothing to transcode.
    if (length <= 64 && this.#isAscii(from)) return this.#buffer.toString("latin1", from, this.#at);
    const slice = this.#buffer.subarray(from, this.#at);
    if (!isUtf8(slice)) this.#fail("text that is not valid UTF-8", start);
    return slice.toString("utf8");
  }

  /** A copy, so that a small payload does not keep a large reply buffer alive. */
  bytes(): Uint8Array {
    return Uint8Array.prototype.slice.call(this.#slice());
  }

  entry(): Reader {
    const slice = this.#slice();
    return new Reader(slice, this.#base + this.#at - slice.length);
  }

  /** A count of asynq's: negative ones, which have no meaning, are read as 0. */
  int32(): number {
    const read = this.#number();
    if (typeof read === "number") return read;
    const value = Number(BigInt.asIntN(32, read));
    this.hadNegative ||= value < 0;
    return Math.max(0, value);
  }

  /** Seconds as ms; negative times, which have no meaning, are read as none. */
  seconds(): number {
    const read = this.#number();
    if (typeof read === "number") return read * 1_000;
    const value = BigInt.asIntN(64, read);
    this.hadNegative ||= value < 0n;
    if (value <= 0n) return 0;
    return Number(value > maxSeconds ? maxSeconds : value) * 1_000;
  }

  int64(): bigint {
    return BigInt.asIntN(64, BigInt(this.#number()));
  }

  skip(tag: number): void {
    const start = this.#at;
    switch (tag & 7) {
      case varint:
        this.#varint();
        return;
      case fixed64:
        this.#advance(8);
        return;
      case bytes:
        this.#slice();
        return;
      case fixed32:
        this.#advance(4);
        return;
      default:
        this.#fail(`unknown wire type ${tag & 7}`, start);
    }
  }

  #slice(): Buffer {
    const length = this.#smallVarint();
    const start = this.#at;
    this.#advance(length);
    return this.#buffer.subarray(start, this.#at);
  }

  #advance(length: number): void {
    if (length > this.#buffer.length - this.#at) this.#fail(`${length} bytes announced, fewer left`, this.#at);
    this.#at += length;
  }

  /** A length, or a tag. */
  #smallVarint(): number {
    const value = this.#number();
    if (typeof value === "number") return value;
    return value > BigInt(Number.MAX_SAFE_INTEGER) ? Number.MAX_SAFE_INTEGER : Number(value);
  }

  /** Numbers of up to four bytes, which are nearly all, do without BigInt. */
  #number(): number | bigint {
    let value = 0;
    for (let index = 0; index < 4; index += 1) {
      const byte = this.#buffer[this.#at + index];
      if (byte === undefined) break;
      value |= (byte & 0x7f) << (index * 7);
      if (byte < 0x80) {
        this.#at += index + 1;
        return value;
      }
    }
    return this.#varint();
  }

  #isAscii(from: number): boolean {
    for (let at = from; at < this.#at; at += 1) if (this.#buffer[at]! > 0x7f) return false;
    return true;
  }

  #varint(): bigint {
    const start = this.#at;
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = this.#next(start);
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80 && value >> 64n === 0n) return value;
      if (byte < 0x80) break;
    }
    return this.#fail("a number of more than 64 bits", start);
  }

  #next(start: number): number {
    const byte = this.#buffer[this.#at];
    if (byte === undefined) this.#fail("the bytes end inside a number", start);
    this.#at += 1;
    return byte!;
  }

  #fail(problem: string, offset: number): never {
    throw new HoldfastError("MESSAGE_INVALID", { problem, offset: this.#base + offset });
  }
}

/** What was stored, or `undefined` where it cannot be decoded: for those who go on without it. */
export function readable<T>(decode: (stored: Uint8Array) => T, stored: Uint8Array): T | undefined {
  try {
    return decode(stored);
  } catch (error) {
    if (HoldfastError.is(error, "MESSAGE_INVALID")) return undefined;
    throw error;
  }
}
