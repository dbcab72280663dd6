import { describe, expect, it } from "vitest";
import { errorCodes, HoldfastError, shown } from "./errors.js";

describe("HoldfastError", () => {
  it("has a sentence for every code that says something of its data", () => {
    // Every field that any sentence reads.
    const data = {
      option: "O",
      problem: "P",
      type: "T",
      path: "a.b",
      bytes: 2,
      maxBytes: 1,
      queue: "Q",
      id: "I",
      broker: "B",
      outcome: "unknown",
      taskIds: [],
      what: "W",
      timeoutMs: 5,
      deadlineMs: 5,
      offset: 7,
      to: "archived",
      moved: 3,
      skipped: 0,
      scanned: 3,
      total: 9,
      requestId: "R",
      directory: "/spool",
      tasks: 4,
      maxTasks: 4,
      diskFull: false,
      perSecond: 100,
      retryAfterMs: 250,
      pending: 9,
      maxPending: 10,
      key: "K",
      column: 7,
      status: "ended",
      minBuild: "2.0",
      build: "1.0",
      fingerprint: "v1:0123456789abcdef",
      name: "smtp-again",
      state: "archived",
    } as const;

    for (const code of errorCodes) {
      const { message } = new HoldfastError(code, data as never);
      expect(message, code).not.toMatch(/undefined|NaN|\[object/);
      expect(message.length, code).toBeGreaterThan(3);
    }
    expect(errorCodes).toContain("BROKER_UNAVAILABLE");
  });

  it("says whether a call may be repeated", () => {
    const unavailable = (outcome: "notSent" | "refused" | "unknown") =>
      new HoldfastError("BROKER_UNAVAILABLE", { broker: "redis://h:1", problem: "refused", outcome, taskIds: [] })
        .message;

    expect(unavailable("notSent")).toBe("redis://h:1 is unavailable: refused (nothing was sent)");
    expect(unavailable("unknown")).toMatch(/may have been carried out; repeat it with the same task ids/);
  });

  it("is known by name and code, also from another copy of the package", () => {
    const ours = new HoldfastError("CLOSED", { what: "the client" });
    const theirs = Object.assign(new Error("x"), { name: "HoldfastError", code: "CLOSED", data: { what: "it" } });

    expect([ours, theirs].map((error) => HoldfastError.is(error, "CLOSED"))).toEqual([true, true]);
    expect(HoldfastError.is(ours, "SPOOL_FULL")).toBe(false);
    for (const other of [null, undefined, "CLOSED", { name: "HoldfastError", code: "CLOSED" }, new Error("CLOSED")]) {
      expect(HoldfastError.is(other, "CLOSED")).toBe(false);
    }
  });

  it("keeps its cause", () => {
    const cause = new Error("underneath");

    expect(new HoldfastError("CLOSED", { what: "it" }, { cause }).cause).toBe(cause);
  });
});

describe("shown", () => {
  it.each([
    ["text", '"text"'],
    ["a\nb", String.raw`"a\nb"`],
    ["\u007f\u009b31m", String.raw`"\u007f\u009b31m"`],
    ["x".repeat(41), `"${"x".repeat(40)}…"`],
    [Number.NaN, "NaN"],
    [-0, "0"],
    [10n, "10n"],
    [null, "null"],
    [undefined, "undefined"],
    [new Date(0), "1970-01-01T00:00:00.000Z"],
    [new Date(Number.NaN), "an invalid Date"],
    [["secret"], "an array"],
    [{ password: "secret" }, "a value of type object"],
    [Symbol("s"), "a value of type symbol"],
    [() => "secret", "a function"],
  ])("is short and gives nothing away: %#", (value, picture) => {
    expect(shown(value)).toBe(picture);
  });
});
