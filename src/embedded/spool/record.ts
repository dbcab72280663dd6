import { decodeMessage, encodeMessage } from "../../core/codec.js";
import { HoldfastError } from "../../core/errors.js";
import type { NewTask } from "../../core/message.js";

/**
 * A task as a spool keeps it: one byte for the version of this form, one of flags, two times as floating point numbers
 * (processAtMs, uniqueForMs), then the message as storage will have it.
 */
const version = 1;
const atMostOnceFlag = 1;
const headBytes = 18;

export function encodeRecord({ message, processAtMs, uniqueForMs, atMostOnce }: NewTask): Uint8Array {
  const body = encodeMessage(message);
  const record = Buffer.allocUnsafe(headBytes + body.length);
  record[0] = version;
  record[1] = atMostOnce ? atMostOnceFlag : 0;
  record.writeDoubleLE(processAtMs, 2);
  record.writeDoubleLE(uniqueForMs, 10);
  record.set(body, headBytes);
  return record;
}

/** Marked as a repeat, for it may have reached storage before. @throws MESSAGE_INVALID */
export function decodeRecord(bytes: Uint8Array): NewTask {
  const record = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  if (record.length < headBytes || record[0] !== version) {
    throw new HoldfastError("MESSAGE_INVALID", { problem: "not a record of this Holdfast's spool", offset: 0 });
  }
  return {
    message: decodeMessage(record.subarray(headBytes)),
    processAtMs: record.readDoubleLE(2),
    uniqueForMs: record.readDoubleLE(10),
    atMostOnce: (record[1]! & atMostOnceFlag) !== 0,
    repeat: true,
  };
}
