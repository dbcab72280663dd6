import { isUtf8 } from "node:buffer";
import { lastTimeMs } from "./duration.js";
import { HoldfastError } from "./errors.js";
import type { TaskMessage } from "./message.js";
import { noHeaders } from "./names.js";

/**
 * TaskMessage ⇄ bytes: asynq's protobuf message `asynq.TaskMessage` (proto3; field numbers in the table below), written
 * byte for byte as Go writes it: ascending field numbers, zero values left out. Ours and not a library's, because
 * libraries replace invalid UTF-8 in silence, and a task rewritten so would be a corrupted task. Unknown fields are
 * skipped, as Go skips them; of a repeated scalar field the last one counts, as protobuf has it.
 */
const field = {
  type: 1,
  payload: 2,
  id: 3,
  queue: 4,
  maxRetry: 5,
  retried: 6,
  lastError: 7,
  timeout: 8,
  deadline: 9,
  uniqueKey: 10,
  lastFailedAt: 11,
  retention: 12,
  completedAt: 13,
  group: 14,
  headers: 15,
} as const;

const varint = 0;
const fixed64 = 1;
const bytes = 2;
const fixed32 = 5;

export function encodeMessage(message: TaskMessage): Buffer {
  const writer = new Writer(message.payload.length + 256);
  writer.text(field.type, message.type);
  if (message.payload.length > 0) writer.bytes(field.payload, message.payload);
  writer.text(field.id, message.id);
  writer.text(field.queue, message.queue);
  writer.integer(field.maxRetry, message.maxRetry);
  writer.integer(field.retried, message.retried);
  writer.text(field.lastError, message.lastError);
  writer.integer(field.timeout, message.timeoutMs / 1_000);
  writer.integer(field.deadline, message.deadlineMs / 1_000);
  writer.text(field.uniqueKey, message.uniqueKey);
  writer.integer(field.lastFailedAt, message.lastFailedAtMs / 1_000);
  writer.integer(field.retention, message.retentionMs / 1_000);
  writer.integer(field.completedAt, message.completedAtMs / 1_000);
  writer.text(field.group, message.group);
  for (const name in message.headers) {
    const entry = new Writer(64);
    // Go writes both halves of a map entry, also when they are empty.
    entry.bytes(1, Buffer.from(name));
    entry.bytes(2, Buffer.from(message.headers[name]!));
    writer.bytes(field.headers, entry.finish());
  }
  return writer.finish();
}

/** @throws MESSAGE_INVALID with the place where the bytes stop making sense */
export function decodeMessage(stored: Uint8Array): TaskMessage {
  const reader = new Reader(stored);
  const message = {
    type: "",
    payload: new Uint8Array(0) as Uint8Array,
    id: "",
    queue: "",
    maxRetry: 0,
    retried: 0,
    lastError: "",
    lastFailedAtMs: 0,
    timeoutMs: 0,
    deadlineMs: 0,
    uniqueKey: "",
    retentionMs: 0,
    completedAtMs: 0,
    group: "",
    headers: noHeaders as Record<string, string>,
  };
  while (reader.more()) {
    const tag = reader.tag();
    // The wire type is checked with the number: a known field of another type is skipped, as Go does.
    switch (tag) {
      case (field.type << 3) | bytes:
        message.type = reader.text();
        break;
      case (field.payload << 3) | bytes:
        message.payload = reader.bytes();
        break;
      case (field.id << 3) | bytes:
        message.id = reader.text();
        break;
      case (field.queue << 3) | bytes:
        message.queue = reader.text();
        break;
      case field.maxRetry << 3:
        message.maxRetry = reader.int32();
        break;
      case field.retried << 3:
        message.retried = reader.int32();
        break;
      case (field.lastError << 3) | bytes:
        message.lastError = reader.text();
        break;
      case field.timeout << 3:
        message.timeoutMs = reader.seconds();
        break;
      case field.deadline << 3:
        message.deadlineMs = reader.seconds();
        break;
      case (field.uniqueKey << 3) | bytes:
        message.uniqueKey = reader.text();
        break;
      case field.lastFailedAt << 3:
        message.lastFailedAtMs = reader.seconds();
        break;
      case field.retention << 3:
        message.retentionMs = reader.seconds();
        break;
      case field.completedAt << 3:
        message.completedAtMs = reader.seconds();
        break;
      case (field.group << 3) | bytes:
        message.group = reader.text();
        break;
      case (field.headers << 3) | bytes: {
        if (message.headers === noHeaders) message.headers = Object.create(null) as Record<string, string>;
        const [name, value] = mapEntry(reader.entry());
        message.headers[name] = value;
        break;
      }
      default:
        reader.skip(tag);
    }
  }
  return message;
}

function mapEntry(reader: Reader): [name: string, value: string] {
  let name = "";
  let value = "";
  while (reader.more()) {
    const tag = reader.tag();
    if (tag === ((1 << 3) | bytes)) name = reader.text();
    else if (tag === ((2 << 3) | bytes)) value = reader.text();
    else reader.skip(tag);
  }
  return [name, value];
}

class Writer {
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
      const length = this.#buffer.write(value, start);
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
    let rest = BigInt.asUintN(64, BigInt(value));
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

class Reader {
  readonly #buffer: Buffer;
  /** Where this buffer begins in the message, so that errors name the place in the whole. */
  readonly #base: number;
  #at = 0;

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
    const value = this.#number();
    return typeof value === "number" ? value : Math.max(0, Number(BigInt.asIntN(32, value)));
  }

  /** Seconds as ms; negative times, which have no meaning, are read as none. */
  seconds(): number {
    const read = this.#number();
    if (typeof read === "number") return read * 1_000;
    const value = BigInt.asIntN(64, read);
    if (value <= 0n) return 0;
    return Number(value > maxSeconds ? maxSeconds : value) * 1_000;
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
