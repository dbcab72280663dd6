import { decodeMessage, encodeMessage } from "../../src/core/codec.js";
import { HoldfastError } from "../../src/core/errors.js";
import type { TaskMessage } from "../../src/core/message.js";
import { goldenMessages } from "../support/golden-messages.js";
import { referenceDecode, referenceFields } from "../support/protobufjs.js";
import { readStrictly, type StrictMessage } from "../support/strict-protobuf.js";
import type { Target } from "./fuzz.js";

/**
 * Stored messages: what a strict reader takes we take, with the same meaning; what it refuses we refuse with the typed
 * error; what we took we write so that we, the strict reader and protobufjs read the same from it.
 */
export const taskMessage: Target = {
  name: "TaskMessage",
  seeds: [...goldenMessages.map(([, hex]) => Buffer.from(hex, "hex")), Buffer.alloc(0)],
  input: (mutator) => mutator.next(),
  show: (bytes) => bytes.toString("hex"),
  try(bytes) {
    const strict = attempt(() => readStrictly(bytes));
    const read = attempt(() => decodeMessage(bytes));
    if (read instanceof Error) {
      if (!HoldfastError.is(read, "MESSAGE_INVALID")) throw read;
      if (!(strict instanceof Error)) throw new Error(`refused, and is valid: ${read.message}`);
      if (read.data.offset > bytes.length) throw new Error("the offset is beyond the end");
      return "refused";
    }
    if (strict instanceof Error) throw new Error(`taken, and is invalid: ${strict.message}`);
    mustEqual("reads", meaning(read), strictMeaning(strict));
    mustBeSmall(read, bytes.length);

    const written = encodeMessage(read);
    const again = decodeMessage(written);
    if (!encodeMessage(again).equals(written)) throw new Error("written otherwise the second time");
    mustEqual("reads again", meaning(again), meaning(read));
    mustEqual("a strict reader reads", strictMeaning(readStrictly(written)), meaning(read));
    mustEqual("protobufjs reads", referenceMeaning(written), referenceMeaning(read));
    return "taken";
  },
};

function attempt<T>(work: () => T): T | Error {
  try {
    return work();
  } catch (error) {
    return error as Error;
  }
}

function mustEqual(what: string, got: string, expected: string): void {
  if (got !== expected) throw new Error(`${what} ${got}, not ${expected}`);
}

/** What is kept of a message is no larger than the message, UTF-16 counted. */
function mustBeSmall(read: TaskMessage, length: number): void {
  const { type, id, queue, lastError, uniqueKey, group, headers, payload } = read;
  const texts = [type, id, queue, lastError, uniqueKey, group, ...Object.entries(headers).flat()];
  const kept = texts.reduce((sum, text) => sum + text.length, payload.buffer.byteLength);
  if (kept > length) throw new Error(`${kept} characters and bytes kept of ${length}`);
}

const latest = 8_640_000_000_000n; // The last second that a Date can tell.
const seconds = (value = 0n) => Number(value < 0n ? 0n : value > latest ? latest : value) * 1_000;
const count = (value = 0n) => Number(value < 0n ? 0n : value);
const sorted = (headers: Iterable<[string, string]>) => [...headers].toSorted(([a], [b]) => (a < b ? -1 : 1));

function strictMeaning({ texts, payload, numbers, headers }: StrictMessage): string {
  const text = (number: number) => texts.get(number) ?? "";
  return JSON.stringify([
    [text(1), text(3), text(4), text(7), text(10), text(14), payload.toString("hex")],
    [count(numbers.get(5)), count(numbers.get(6))],
    [8, 9, 11, 12, 13].map((number) => seconds(numbers.get(number))),
    sorted(headers),
  ]);
}

function meaning(one: TaskMessage): string {
  return JSON.stringify([
    [one.type, one.id, one.queue, one.lastError, one.uniqueKey, one.group, Buffer.from(one.payload).toString("hex")],
    [one.maxRetry, one.retried],
    [one.timeoutMs, one.deadlineMs, one.lastFailedAtMs, one.retentionMs, one.completedAtMs],
    sorted(Object.entries(one.headers)),
  ]);
}

/** protobufjs loses a header that is called `__proto__`: its maps are plain objects. */
function referenceMeaning(of: TaskMessage | Uint8Array): string {
  const { payload, headers, ...rest } = of instanceof Uint8Array ? referenceDecode(of) : referenceFields(of);
  return JSON.stringify([
    Object.entries(rest).toSorted(([a], [b]) => (a < b ? -1 : 1)),
    Buffer.from(payload as Uint8Array).toString("hex"),
    sorted(Object.entries(headers as Record<string, string>).filter(([name]) => name !== "__proto__")),
  ]);
}
