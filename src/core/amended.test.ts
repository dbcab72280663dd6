import { describe, expect, it } from "vitest";
import { message } from "../../test/support/builders.js";
import { amended } from "./amended.js";
import { decodeMessage, encodeMessage } from "./codec.js";

describe("an amended message", () => {
  const stored = encodeMessage(
    message({ maxRetry: 25, retentionMs: 60_000, headers: { a: "1", b: "2" }, payload: Buffer.from("{}") }),
  );

  it("has the new values, and all others as they were", () => {
    const before = decodeMessage(stored);
    const next = decodeMessage(amended(stored, { maxRetry: 3, retentionMs: 1_500, headers: { b: "", c: "é" } }));

    expect({ ...next, headers: { ...next.headers } }).toEqual({
      ...before,
      maxRetry: 3,
      retentionMs: 2_000,
      headers: { a: "1", b: "", c: "é" },
    });
  });

  it("takes zero for a value", () => {
    expect(decodeMessage(amended(stored, { maxRetry: 0, retentionMs: 0 }))).toMatchObject({
      maxRetry: 0,
      retentionMs: 0,
    });
  });

  it("keeps what it does not know", () => {
    const unknown = Buffer.concat([stored, Buffer.from([30 << 3, 1, 7].slice(2))]);
    expect(amended(unknown, { maxRetry: 1 }).subarray(0, unknown.length).equals(unknown)).toBe(true);
  });
});
