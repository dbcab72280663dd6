import fc from "fast-check";
import protobuf from "protobufjs";
import { describe, expect, it } from "vitest";
import { message } from "../../test/support/builders.js";
import { decodeMessage, encodeMessage } from "./codec.js";
import { HoldfastError } from "./errors.js";
import type { TaskMessage } from "./message.js";
import { seeded } from "../../test/support/seeded.js";

const hex = (text: string) => Buffer.from(text, "hex");
const id = (last: string) => `00000000-0000-4000-8000-00000000000${last}`;
/** Plain values: payload as hex, headers with a prototype. */
const plain = (one: TaskMessage) => ({
  ...one,
  payload: Buffer.from(one.payload).toString("hex"),
  headers: { ...one.headers },
});

/** Written by asynq's own encoder (Go, commit 785bb72) from the same inputs. */
const golden: readonly (readonly [name: string, hex: string, message: TaskMessage])[] = [
  [
    "plain",
    "0a0a656d61696c3a73656e641a2430303030303030302d303030302d343030302d383030302d303030303030303030303031220764656661756c74281940880e",
    message({ type: "email:send", id: id("1"), maxRetry: 25, timeoutMs: 1_800_000 }),
  ],
  [
    "unique, with a deadline and retention",
    "0a0a656d61696c3a73656e64120e7b22757365725f6964223a34327d1a2430303030303030302d303030302d343030302d383030302d3030303030303030303030322208637269746963616c2803401e4880e2cfaa0652436173796e713a7b637269746963616c7d3a756e697175653a656d61696c3a73656e643a313138316638393330376661323731303732633039353734376435383133636360901c",
    message({
      type: "email:send",
      payload: Buffer.from('{"user_id":42}'),
      id: id("2"),
      queue: "critical",
      maxRetry: 3,
      timeoutMs: 30_000,
      deadlineMs: 1_700_000_000_000,
      uniqueKey: "asynq:{critical}:unique:email:send:1181f89307fa271072c095747d5813cc",
      retentionMs: 3_600_000,
    }),
  ],
  [
    "every field",
    "0a01741204000102ff1a0469642d31220171280a30023a08626f6f6d3a20c3a9403c48d8e6cfaa0652146173796e713a7b717d3a756e697175653a743a785881e2cfaa066080a30568ace4cfaa0672036772707a180a0b7472616365706172656e74120930302d6162632d3031",
    message({
      type: "t",
      payload: hex("000102ff"),
      id: "id-1",
      queue: "q",
      maxRetry: 10,
      retried: 2,
      lastError: "boom: é",
      lastFailedAtMs: 1_700_000_001_000,
      timeoutMs: 60_000,
      deadlineMs: 1_700_000_600_000,
      uniqueKey: "asynq:{q}:unique:t:x",
      group: "grp",
      retentionMs: 86_400_000,
      completedAtMs: 1_700_000_300_000,
      headers: { traceparent: "00-abc-01" },
    }),
  ],
  [
    "a header with an empty value",
    "0a01741a01692201717a050a016b1200",
    message({ type: "t", id: "i", queue: "q", maxRetry: 0, timeoutMs: 0, headers: { k: "" } }),
  ],
];

const schema = protobuf.parse(`
  syntax = "proto3";
  package asynq;
  message TaskMessage {
    string type = 1;
    bytes payload = 2;
    string id = 3;
    string queue = 4;
    int32 retry = 5;
    int32 retried = 6;
    string error_msg = 7;
    int64 timeout = 8;
    int64 deadline = 9;
    string unique_key = 10;
    int64 last_failed_at = 11;
    int64 retention = 12;
    int64 completed_at = 13;
    string group_key = 14;
    map<string, string> headers = 15;
  }`);
const reference = schema.root.lookupType("asynq.TaskMessage");

/** A message as protobufjs has it, with its names and its seconds. */
const referenceFields = (one: TaskMessage) => ({
  type: one.type,
  payload: one.payload,
  id: one.id,
  queue: one.queue,
  retry: one.maxRetry,
  retried: one.retried,
  errorMsg: one.lastError,
  timeout: one.timeoutMs / 1_000,
  deadline: one.deadlineMs / 1_000,
  uniqueKey: one.uniqueKey,
  lastFailedAt: one.lastFailedAtMs / 1_000,
  retention: one.retentionMs / 1_000,
  completedAt: one.completedAtMs / 1_000,
  groupKey: one.group,
  headers: { ...one.headers },
});

const referenceDecode = (bytes: Uint8Array) =>
  reference.toObject(reference.decode(bytes), { longs: Number, defaults: true, objects: true, arrays: true });

const text = fc.string({ unit: "grapheme", maxLength: 60 });
const timeMs = fc
  .oneof(fc.constant(0), fc.nat(), fc.integer({ min: 0, max: 9_007_199_254_740 }))
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
  it.each(golden)("writes and reads as Go does: %s", (_name, bytes, one) => {
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
        const theirs = Buffer.from(reference.encode(reference.fromObject(Object.fromEntries(set))).finish());
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
    const [, bytes, one] = golden[1]!;
    const unknown = ["800105", "810100000000000000ff", "820103616263", "8501000000ff", "0805", "2a0161", "fa3f00"];
    const around = hex(unknown.join("") + bytes + unknown.join(""));

    expect(plain(decodeMessage(around))).toEqual(plain(one));
  });

  it("takes the last of a repeated field, which is how scripts append to a message", () => {
    const appended = Buffer.concat([hex(golden[2]![1]), hex("3a0161"), hex("3a036e6577"), hex("5801")]);

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
    ["2^53 seconds, as the last time there is", "488080808080808010", { deadlineMs: 9_007_199_254_740_000 }],
    ["2^63-1 seconds, as the last time there is", "48ffffffffffffffff7f", { deadlineMs: 9_007_199_254_740_000 }],
    ["a number with needless bytes", "40818000", { timeoutMs: 1_000 }],
    ["2^32 seconds", "488080808010", { deadlineMs: 4_294_967_296_000 }],
  ])("reads %s", (_name, bytes, fields) => {
    const read = decodeMessage(hex(bytes));

    expect(plain(read)).toEqual(plain(message({ type: "", id: "", queue: "", maxRetry: 0, timeoutMs: 0, ...fields })));
    expect(plain(decodeMessage(encodeMessage(read)))).toEqual(plain(read));
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
    const stored = Buffer.from(hex(golden[2]![1]));

    const { payload } = decodeMessage(stored);
    stored.fill(0);

    expect(Buffer.from(payload).toString("hex")).toBe("000102ff");
    expect(payload.buffer.byteLength).toBe(4);
  });

  it("reads from a view into a larger buffer, of any kind", () => {
    const [, bytes, one] = golden[0]!;
    const padded = new Uint8Array(hex(`ffffff${bytes}ffffff`));

    expect(plain(decodeMessage(padded.subarray(3, padded.length - 3)))).toEqual(plain(one));
  });

  it("either refuses mutated bytes or reads a message that it can write again", () => {
    const seed = Number(process.env["SEED"] ?? Math.floor(Math.random() * 2 ** 31));
    // Not fast-check's: it is too slow for 10⁵ mutations.
    const random = seeded(seed);
    const pick = (below: number) => Math.floor(random() * below);
    const samples = golden.map(([, bytes]) => hex(bytes));
    let refused = 0;

    for (let run = 0; run < 100_000; run += 1) {
      let bytes = Buffer.from(samples[pick(samples.length)]!);
      for (let edits = 1 + pick(4); edits > 0; edits -= 1) {
        const at = pick(bytes.length);
        const kind = pick(4);
        if (kind === 0) bytes[at] = pick(256);
        else if (kind === 1) bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + 1 + pick(3))]);
        else if (kind === 2)
          bytes = Buffer.concat([bytes.subarray(0, at), Buffer.from([pick(256)]), bytes.subarray(at)]);
        else bytes = Buffer.concat([bytes, samples[pick(samples.length)]!.subarray(at)]);
      }
      try {
        const written = encodeMessage(decodeMessage(bytes));
        if (!encodeMessage(decodeMessage(written)).equals(written)) throw new Error("read otherwise the second time");
      } catch (error) {
        if (!HoldfastError.is(error, "MESSAGE_INVALID")) {
          throw new Error(`seed ${seed}, run ${run}: ${bytes.toString("hex")}`, { cause: error });
        }
        refused += 1;
      }
    }
    expect(refused).toBeGreaterThan(10_000);
    expect(refused).toBeLessThan(95_000);
  }, 60_000);
});
