/** What the processes have in common that write down what they are promised, until they are killed. */
import { writeSync } from "node:fs";

/** Written before anything else happens; a pipe that is full is waited for. */
export function say(sign, ids) {
  let rest = Buffer.from(ids.length > 0 ? `${sign} ${ids.join(" ")}\n` : "");
  while (rest.length > 0) {
    try {
      rest = rest.subarray(writeSync(1, rest));
    } catch (error) {
      if (error.code !== "EAGAIN") throw error;
    }
  }
}

/** The process's so manieth task; its payload begins with its id, and is a large one now and then. */
export function taskOf(process, number, queue, retentionMs = 0) {
  const id = `${process}-${number}`;
  const message = {
    type: "kill",
    payload: Buffer.alloc(number % 50 === 0 ? 20_000 : 200, id),
    id,
    queue,
    maxRetry: 25,
    retried: 0,
    lastError: "",
    lastFailedAtMs: 0,
    timeoutMs: 0,
    deadlineMs: 0,
    uniqueKey: "",
    retentionMs,
    completedAtMs: 0,
    group: "",
    headers: {},
  };
  return { message, processAtMs: 0, uniqueForMs: 0, atMostOnce: false, repeat: false };
}
