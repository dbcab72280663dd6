import type { TaskMessage } from "./message.js";
import { noHeaders } from "./names.js";
import { bytes, Reader, Writer } from "./protobuf.js";

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
  if (reader.hadNegative) negative.add(message);
  return message;
}

const negative = new WeakSet<TaskMessage>();
/** Whether a time or a count was negative where this was decoded from, and is read as none. */
export const hadNegative = (message: TaskMessage): boolean => negative.has(message);

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
