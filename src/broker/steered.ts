import { type TaskMessage, uniqueKey } from "../core/message.js";

/** The message of a task that an operator runs: it fails at least `attempts` times before it is a dead letter. */
export function messageToRun(message: TaskMessage, attempts: number): TaskMessage {
  const maxRetry = Math.max(message.maxRetry, message.retried + attempts - 1);
  return maxRetry === message.maxRetry ? message : { ...message, maxRetry };
}

/** The message with another payload; a unique key that stood for the old payload now stands for the new one. */
export function messageWithPayload(message: TaskMessage, payload: Uint8Array): TaskMessage {
  const keyOf = (bytes: Uint8Array | null) => uniqueKey(message.queue, message.type, bytes);
  // No payload and an empty one are the same bytes, but not the same key.
  const ofNone = message.payload.length === 0 && message.uniqueKey === keyOf(null);
  const isOurs = ofNone || message.uniqueKey === keyOf(message.payload);
  return { ...message, payload, uniqueKey: isOurs ? keyOf(payload.length === 0 ? null : payload) : message.uniqueKey };
}
