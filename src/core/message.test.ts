import { describe, expect, it } from "vitest";
import { decodeMessage, encodeMessage } from "./codec.js";
import { newTask, uniqueKey } from "./message.js";
import { type Codec, rawBytes } from "./payload.js";
import { defineTask, type AnyRequest } from "./task.js";

const nowMs = Date.UTC(2026, 0, 1) + 400;
const maxBytes = 1_048_576;
const put = (request: AnyRequest) => newTask(request, nowMs, "id-1", maxBytes);

describe("newTask", () => {
  it("makes what asynq would make of nothing but a type", () => {
    expect(put(defineTask("t")())).toEqual({
      message: {
        type: "t",
        payload: new Uint8Array(0),
        id: "id-1",
        queue: "default",
        maxRetry: 25,
        retried: 0,
        lastError: "",
        lastFailedAtMs: 0,
        timeoutMs: 1_800_000,
        deadlineMs: 0,
        uniqueKey: "",
        retentionMs: 0,
        completedAtMs: 0,
        group: "",
        headers: {},
      },
      processAtMs: 0,
      uniqueForMs: 0,
      atMostOnce: false,
      repeat: false,
    });
  });

  it("puts the call over the definition over the default", () => {
    const task = defineTask<string>("t", {
      queue: "low",
      maxRetry: 5,
      timeout: "10s",
      headers: { a: "1" },
      delivery: "at-most-once",
    });

    const { message, atMostOnce } = put(task("x", { queue: "critical", maxRetry: 0, headers: { b: "2" } }));

    expect(message).toMatchObject({ queue: "critical", maxRetry: 0, timeoutMs: 10_000, retentionMs: 0 });
    expect({ ...message.headers }).toEqual({ b: "2" });
    expect(atMostOnce).toBe(true);
  });

  it("takes an id of the caller", () => {
    expect(put(defineTask("t")(undefined, { id: "order-42" })).message.id).toBe("order-42");
  });

  it.each([
    ["neither", {}, 1_800_000, 0],
    ["a timeout", { timeout: "10s" }, 10_000, 0],
    ["a deadline, which leaves no timeout", { deadline: new Date(1_700_000_000_000) }, 0, 1_700_000_000_000],
    ["both", { timeout: "10s", deadline: new Date(1_700_000_000_000) }, 10_000, 1_700_000_000_000],
    ["fractions, rounded up", { timeout: "1001ms", deadline: new Date(1_700_000_000_001) }, 2_000, 1_700_000_001_000],
    ["a deadline at the beginning of time, which has passed", { deadline: new Date(0) }, 0, 1_000],
    ["a deadline before the beginning of time", { deadline: new Date(-5_000) }, 0, 1_000],
  ] as const)("settles timeout and deadline as asynq does: %s", (_what, options, timeoutMs, deadlineMs) => {
    const { message } = put(defineTask("t")(undefined, options));

    expect(message).toMatchObject({ timeoutMs, deadlineMs });
    expect(decodeMessage(encodeMessage(message))).toMatchObject({ timeoutMs, deadlineMs });
  });

  it.each([
    ["in a while", { processIn: "90s" }, nowMs + 90_000],
    ["at a time", { processAt: new Date(nowMs + 1) }, nowMs + 1],
    ["now", { processAt: new Date(nowMs) }, 0],
    ["long ago", { processAt: new Date(0) }, 0],
    ["in no time", { processIn: "0s" }, 0],
  ] as const)("is to run %s", (_when, options, processAtMs) => {
    expect(put(defineTask("t")(undefined, options)).processAtMs).toBe(processAtMs);
  });

  it("counts a unique lock from the time the task may run", () => {
    const task = defineTask("t", { unique: "1h" });

    expect(put(task()).uniqueForMs).toBe(3_600_000);
    expect(put(task(undefined, { processIn: "10s" })).uniqueForMs).toBe(3_610_000);
    expect(put(task(undefined, { processAt: new Date(0) })).uniqueForMs).toBe(3_600_000);
  });

  it("keeps a retention of less than a second", () => {
    expect(put(defineTask("t", { retention: "1ms" })()).message.retentionMs).toBe(1_000);
  });

  it("refuses a payload past the limit, and says both numbers", () => {
    const task = defineTask<Uint8Array>("t", { codec: rawBytes });

    expect(put(task(new Uint8Array(maxBytes))).message.payload).toHaveLength(maxBytes);
    expect(() => put(task(new Uint8Array(maxBytes + 1)))).toThrow(
      expect.objectContaining({ code: "PAYLOAD_TOO_LARGE", data: { type: "t", bytes: maxBytes + 1, maxBytes } }),
    );
  });

  it("refuses what cannot be written", () => {
    expect(() => put(defineTask<object>("t")({ balance: 5n }))).toThrow(
      expect.objectContaining({ code: "PAYLOAD_INVALID", data: expect.objectContaining({ path: "balance" }) }),
    );
  });
});

describe("uniqueKey", () => {
  // The three forms as asynq's own UniqueKey answers them.
  it.each([
    ["no payload", null, "asynq:{default}:unique:t:"],
    ["an empty payload", new Uint8Array(0), "asynq:{default}:unique:t:d41d8cd98f00b204e9800998ecf8427e"],
  ])("is asynq's for %s", (_what, payload, key) => {
    expect(uniqueKey("default", "t", payload)).toBe(key);
  });

  it("is asynq's for JSON", () => {
    const task = defineTask<object>("email:send", { queue: "critical", unique: "1h" });

    expect(put(task({ user_id: 42 })).message.uniqueKey).toBe(
      "asynq:{critical}:unique:email:send:1181f89307fa271072c095747d5813cc",
    );
  });

  it("tells no payload from an empty one", () => {
    const shout: Codec<unknown> = { encode: () => Buffer.from("null"), decode: () => undefined };
    const key = (task: AnyRequest) => put(task).message.uniqueKey;

    expect(key(defineTask("t", { unique: "1h" })())).toBe("asynq:{default}:unique:t:");
    expect(key(defineTask<Uint8Array>("t", { unique: "1h", codec: rawBytes })(new Uint8Array(0)))).toMatch(/:d41d8cd9/);
    expect(key(defineTask<unknown>("t", { unique: "1h", codec: shout })(undefined))).toMatch(/:37a6259c/);
  });
});
