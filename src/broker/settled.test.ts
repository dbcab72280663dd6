import { describe, expect, it } from "vitest";
import { failure, message } from "../../test/support/builders.js";
import { messageAfter } from "./settled.js";

const nowMs = 1_700_000_000_999;
const wholeNowMs = 1_700_000_000_000;
const stored = message({ retried: 2, retentionMs: 60_000, lastError: "before", lastFailedAtMs: 5_000 });

describe("messageAfter", () => {
  it("notes when a task was completed that is kept, and nothing where it is not", () => {
    expect(messageAfter(stored, { kind: "completed" }, nowMs)).toEqual({ ...stored, completedAtMs: wholeNowMs });
    expect(messageAfter(message(), { kind: "completed" }, nowMs)).toBeUndefined();
  });

  it("counts a failure that counts, and notes every one", () => {
    const retry = (counts: boolean) =>
      messageAfter(
        stored,
        { kind: "retry", atMs: nowMs + 5_000, counts, failure: failure({ message: "boom" }) },
        nowMs,
      );

    expect(retry(true)).toEqual({ ...stored, retried: 3, lastError: "boom", lastFailedAtMs: wholeNowMs });
    expect(retry(false)).toEqual({ ...stored, retried: 2, lastError: "boom", lastFailedAtMs: wholeNowMs });
  });

  it("notes the last failure of a dead letter, and leaves the count as asynq does", () => {
    const archived = messageAfter(stored, { kind: "archived", failure: failure({ message: "boom" }) }, nowMs);

    expect(archived).toEqual({ ...stored, lastError: "boom", lastFailedAtMs: wholeNowMs });
  });

  it("leaves alone what is forgotten or given back", () => {
    expect(messageAfter(stored, { kind: "revoked" }, nowMs)).toBeUndefined();
    expect(messageAfter(stored, { kind: "released" }, nowMs)).toBeUndefined();
  });
});
