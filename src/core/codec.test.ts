import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { message } from "../../test/support/builders.js";
import { decodeMessage, encodeMessage, hadNegative } from "./codec.js";
import { HoldfastError } from "./errors.js";
import type { TaskMessage } from "./message.js";
import { goldenMessages } from "../../test/support/golden-messages.js";
import { referenceDecode, referenceFields, taskMessageType } from "../../test/support/protobufjs.js";
import { seed } from "../../test/support/seed.js";

fc.configureGlobal({ seed });

const hex = (text: string) => Buffer.from(text, "hex");
/** Plain values: payload as hex, headers with a prototype. */
const plain = (one: TaskMessage) => ({
  ...one,
  payload: Buffer.from(one.payload).toString("hex"),
  headers: { ...one.headers },
});

const text = fc.string({ unit: "grapheme", maxLength: 60 });
const timeMs = fc
  .oneof(fc.constant(0), fc.nat(), fc.integer({ min: 0, max: 8_640_000_000_000 }))
  .map((seconds) => seconds * 1_000);
const int32 = fc.oneof(fc.nat(200), fc.nat());
const anyMessage: fc.Arbitrary<TaskMessage> = fc.record({
  type: text,
  payload: fc.uint8Array({ maxLength: 300 }),
  id: text,
  queue: text,
  maxRetry: int32,
  retried: int32,
  lastError: text,
  lastFailedAtMs: timeMs,
  timeoutMs: timeMs,
  deadlineMs: timeMs,
  uniqueKey: text,
  retentionMs: timeMs,
  completedAtMs: timeMs,
  group: text,
  // One at most: the order of a map's entries is nobody's promise.
  headers: fc.dictionary(text, text, { maxKeys: 1, noNullPrototype: false }),
});

describe("codec", () => {
  it.each(goldenMessages)("writes and reads as Go does: %s", (_name, bytes, one) => {
    expect(encodeMessage(one).toString("hex")).toBe(bytes);
    expect(plain(decodeMessage(hex(bytes)))).toEqual(plain(one));
  });

  it("gives back what it was given", () => {
    fc.assert(
      fc.property(anyMessage, (one) => {
        expect(plain(decodeMessage(encodeMessage(one)))).toEqual(plain(one));
      }),
      { numRuns: 500 },
    );
  });

  it("writes the bytes that protobufjs writes, and reads what it reads", () => {
    fc.assert(
      fc.property(anyMessage, (one) => {
        const fields = referenceFields(one);
        // protobufjs writes zero values where they are set; Go, and we, leave them out.
        const set = Object.entries(fields).filter(
          ([, value]) => value !== 0 && value !== "" && (value as Uint8Array).length !== 0,
        );
        const theirs = Buffer.from(
          taskMessageType.encode(taskMessageType.fromObject(Object.fromEntries(set))).finish(),
        );
        const ours = encodeMessage(one);

        expect(ours.toString("hex")).toBe(theirs.toString("hex"));
        const read = referenceDecode(ours);
        expect({ ...read, payload: Buffer.from(read["payload"] as Uint8Array).toString("hex") }).toEqual({
          ...fields,
          payload: Buffer.from(one.payload).toString("hex"),
        });
      }),
      { numRuns: 300 },
    );
  });

  it("keeps all of several headers, whatever they are called", () => {
    const names = ["__proto__", "constructor", "toString", "", "2", "1", "é"];
    const headers = Object.create(null) as Record<string, string>;
    for (const name of names) headers[name] = `value of ${name}`;

    const read = decodeMessage(encodeMessage(message({ headers }))).headers;

    expect(Object.getPrototypeOf(read)).toBeNull();
    expect(new Map(Object.entries(read))).toEqual(new Map(Object.entries(headers)));
    expect(({} as Record<string, unknown>)["value of __proto__"]).toBeUndefined();
  });

  it("skips fields it does not know, of every kind, and known numbers of another kind", () => {
    const [, bytes, one] = goldenMessages[1]!;
    const unknown = ["800105", "810100000000000000ff", "820103616263", "8501000000ff", "0805", "2a0161", "fa3f00"];
    const around = hex(unknown.join("") + bytes + unknown.join(""));

    expect(plain(decodeMessage(around))).toEqual(plain(one));
  });

  it("takes the last of a repeated field, which is how scripts append to a message", () => {
    const appended = Buffer.concat([hex(goldenMessages[2]![1]), hex("3a0161"), hex("3a036e6577"), hex("5801")]);

    expect(decodeMessage(appended)).toMatchObject({ lastError: "new", lastFailedAtMs: 1_000 });
  });

  it.each([
    [
      "negative counts and times, as nothing",
      "28ffffffffffffffffff01" + "40ffffffffffffffffff01" + "4880808080808080808001",
      {},
    ],
    ["the largest int32", "28ffffffff07", { maxRetry: 2_147_483_647 }],
    ["an int32 cut as Go cuts it", "28ffffffff0f", {}],
    ["int32 in more bits than it has", "288080808010", {}],
    ["2^53 seconds, as the last time there is", "488080808080808010", { deadlineMs: 8_640_000_000_000_000 }],
    ["2^63-1 seconds, as the last time there is", "48ffffffffffffffff7f", { deadlineMs: 8_640_000_000_000_000 }],
    ["a number with needless bytes", "40818000", { timeoutMs: 1_000 }],
    ["2^32 seconds", "488080808010", { deadlineMs: 4_294_967_296_000 }],
  ])("reads %s", (_name, bytes, fields) => {
    const read = decodeMessage(hex(bytes));

    expect(plain(read)).toEqual(plain(message({ type: "", id: "", queue: "", maxRetry: 0, timeoutMs: 0, ...fields })));
    expect(plain(decodeMessage(encodeMessage(read)))).toEqual(plain(read));
  });

  it("tells where a count or a time was negative", () => {
    const told = ["28ffffffffffffffffff01", "28ffffffff0f", "40ffffffffffffffffff01", "2801", "4080808080808080808001"];

    expect(told.map((bytes) => hadNegative(decodeMessage(hex(bytes))))).toEqual([true, true, true, false, true]);
  });

  it.each([
    ["text that is not UTF-8", "0a02c328", 1],
    ["a UTF-8 surrogate", "0a03eda080", 1],
    ["invalid UTF-8 in a header's name", "7a060a02c3281200", 3],
    ["invalid UTF-8 in a header's value", "7a070a01611202c328", 6],
    ["a length beyond the end", "0a05616263", 2],
    ["a length of 2^31", "0a8080808008", 6],
    ["a length beyond any number", "0affffffffffffffffff01", 11],
    ["field number 0", "0000", 0],
    ["a tag past 32 bits", "8080808080808001", 0],
    ["wire type 6", "0e", 1],
    ["wire type 7", "0f", 1],
    ["an end inside a number", "0a0161289a", 4],
    ["a number of more than 64 bits, as Go does", "28ffffffffffffffffff02", 1],
    ["a number of eleven bytes", "28ffffffffffffffffffffff01", 1],
    ["a fixed64 cut short", "8101000000", 2],
    ["the middle of nowhere", "ff", 0],
  ])("refuses %s, with the place", (_name, bytes, offset) => {
    const read = () => decodeMessage(hex(bytes));

    expect(read).toThrow(HoldfastError);
    expect(read).toThrow(
      expect.objectContaining({ code: "MESSAGE_INVALID", data: expect.objectContaining({ offset }) }),
    );
  });

  it("does not allocate what a hostile length announces", () => {
    const before = process.memoryUsage().arrayBuffers;

    for (let i = 0; i < 100; i += 1) expect(() => decodeMessage(hex("12ffffffff07"))).toThrow(HoldfastError);

    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(10_000_000);
  });

  it("reads a payload of its own: the buffer it came in may be large, and may be used again", () => {
    const stored = Buffer.from(hex(goldenMessages[2]![1]));

    const { payload } = decodeMessage(stored);
    stored.fill(0);

    expect(Buffer.from(payload).toString("hex")).toBe("000102ff");
    expect(payload.buffer.byteLength).toBe(4);
  });

  it("reads from a view into a larger buffer, of any kind", () => {
    const [, bytes, one] = goldenMessages[0]!;
    const padded = new Uint8Array(hex(`ffffff${bytes}ffffff`));

    expect(plain(decodeMessage(padded.subarray(3, padded.length - 3)))).toEqual(plain(one));
  });
});
