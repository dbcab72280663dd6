import { describe, expect, it } from "vitest";
import { message } from "../../test/support/builders.js";
import { type ErrorCode, HoldfastError } from "./errors.js";
import { newId } from "./ids.js";
import { type Attempt, failureOf, maxReturnAgeMs, maxReturns, type Outcome, verdict } from "./outcome.js";
import { RetryAfter, Revoke, SkipRetry } from "./steering.js";

const nowMs = Date.UTC(2031, 0, 1);
const everyMinute = () => 60_000;

const attempt = (fields: Partial<Attempt> = {}): Attempt => ({
  message: message({ type: "email:send", maxRetry: 3, retried: 1 }),
  returns: 0,
  startedAtMs: nowMs - 5,
  durationMs: 5,
  keepStack: false,
  atMostOnce: false,
  ...fields,
});
const judge = (thrown: unknown, fields: Partial<Attempt> = {}, policy = everyMinute as () => number) =>
  verdict(thrown, attempt(fields), policy, nowMs);
const lastTry: Partial<Attempt> = { message: message({ type: "email:send", maxRetry: 3, retried: 3 }) };

/** An outcome in a few words: kind, reason, whether it counts, how long until it runs again. */
function inShort(outcome: Outcome): string {
  if (outcome.kind === "retry") {
    const { reason } = outcome.failure;
    return `retry: ${reason}${outcome.counts ? "" : ", not counted"}, in ${(outcome.atMs - nowMs) / 1_000} s`;
  }
  return outcome.kind === "archived" ? `archived: ${outcome.failure.reason}` : outcome.kind;
}

/** An error as another copy of the package, or another library, would throw it. */
const named = (name: string, fields: object = {}) => Object.assign(new Error("boom"), { name, ...fields });
const holdfast = <C extends ErrorCode>(code: C, data: ConstructorParameters<typeof HoldfastError<C>>[1]) =>
  new HoldfastError(code, data);
const payloadInvalid = (type: string) => holdfast("PAYLOAD_INVALID", { type, path: "", problem: "cannot be decoded" });

describe("verdict", () => {
  it.each<[what: string, thrown: unknown, first: string, last: string]>([
    ["an error", new Error("boom"), "retry: failed, in 60 s", "archived: retries_exhausted"],
    ["a timeout", holdfast("TASK_TIMEOUT", { timeoutMs: 5 }), "retry: timeout, in 60 s", "archived: timeout"],
    [
      "a cancel",
      holdfast("TASK_CANCELLED", { id: "1", how: "retry" }),
      "retry: cancelled, in 60 s",
      "archived: cancelled",
    ],
    [
      "a cancel for good",
      holdfast("TASK_CANCELLED", { id: "1", how: "archive" }),
      "archived: cancelled",
      "archived: cancelled",
    ],
    ["a passed deadline", holdfast("TASK_DEADLINE", { deadlineMs: 5 }), "archived: deadline", "archived: deadline"],
    [
      "no handler",
      holdfast("HANDLER_MISSING", { type: "email:send" }),
      "retry: no_handler, not counted, in 30 s",
      "retry: no_handler, not counted, in 30 s",
    ],
    [
      "an undecodable message",
      holdfast("MESSAGE_INVALID", { problem: "p", offset: 0 }),
      "archived: decode_error",
      "archived: decode_error",
    ],
    [
      "a payload that does not fit",
      payloadInvalid("email:send"),
      "archived: schema_mismatch",
      "archived: schema_mismatch",
    ],
    ["another task's payload", payloadInvalid("sms:send"), "retry: failed, in 60 s", "archived: retries_exhausted"],
    [
      "a result that does not fit",
      holdfast("RESULT_INVALID", { type: "email:send", problem: "p" }),
      "retry: failed, in 60 s",
      "archived: retries_exhausted",
    ],
    ["SkipRetry", new SkipRetry("no such user"), "archived: skip_retry", "archived: skip_retry"],
    ["Revoke", new Revoke("moot"), "revoked", "revoked"],
    [
      "RetryAfter",
      new RetryAfter("90s"),
      "retry: retry_after, not counted, in 90 s",
      "retry: retry_after, not counted, in 90 s",
    ],
    [
      "a short RetryAfter",
      new RetryAfter("1ms"),
      "retry: retry_after, not counted, in 1 s",
      "retry: retry_after, not counted, in 1 s",
    ],
    ["SkipRetry of another copy", named("SkipRetry"), "archived: skip_retry", "archived: skip_retry"],
    ["Revoke of another copy", named("Revoke"), "revoked", "revoked"],
    [
      "RetryAfter of another copy",
      named("RetryAfter", { delayMs: 2_000 }),
      "retry: retry_after, not counted, in 2 s",
      "retry: retry_after, not counted, in 2 s",
    ],
    ["a stranger called RetryAfter", named("RetryAfter"), "retry: failed, in 60 s", "archived: retries_exhausted"],
    ["a name without an error", { name: "Revoke" }, "retry: failed, in 60 s", "archived: retries_exhausted"],
  ])("of %s", (_what, thrown, first, last) => {
    expect(inShort(judge(thrown))).toBe(first);
    expect(inShort(judge(thrown, lastTry))).toBe(last);
  });

  it("archives at the first failure when there are no retries", () => {
    expect(inShort(judge(new Error("boom"), { message: message({ maxRetry: 0 }) }))).toBe(
      "archived: retries_exhausted",
    );
  });

  it.each([
    [
      "throws",
      () => {
        throw new Error("policy broke");
      },
    ],
    ["answers NaN", () => Number.NaN],
    ["answers nothing", () => undefined as unknown as number],
  ])("archives a task whose policy %s, and says so", (_what, policy) => {
    const outcome = judge(new Error("boom"), {}, policy);

    expect(inShort(outcome)).toBe("archived: policy_discard");
    expect(outcome).toMatchObject({ failure: { message: expect.stringMatching(/policy/) } });
  });

  it.each<[string, Partial<Attempt>, string]>([
    ["the last return", { returns: maxReturns - 1 }, "retry: retry_after, not counted, in 1 s"],
    ["too many returns", { returns: maxReturns }, "archived: retries_exhausted"],
    [
      "a task just young enough",
      { returns: 1, message: message({ id: newId(nowMs - maxReturnAgeMs) }) },
      "retry: retry_after, not counted, in 1 s",
    ],
  ])("ends giving back: %s", (_what, fields, expected) => {
    expect(inShort(judge(new RetryAfter("1s"), fields))).toBe(expected);
  });

  it("ends giving back by age", () => {
    const old = { returns: 1, message: message({ id: "01000000-0000-7000-8000-000000000000" }) };

    expect(inShort(judge(new RetryAfter("1s"), old))).toBe("archived: retries_exhausted");
    expect(inShort(judge(holdfast("HANDLER_MISSING", { type: "t" }), old))).toBe("archived: no_handler");
    // One that was scheduled far ahead may be old when it first runs.
    expect(inShort(judge(new RetryAfter("1s"), { ...old, returns: 0 }))).toBe(
      "retry: retry_after, not counted, in 1 s",
    );
  });

  it.each<[string, Partial<Attempt>, string]>([
    ["goes back", {}, "released"],
    ["goes back no more after too many returns", { returns: maxReturns }, "archived: retries_exhausted"],
    ["does not start again when it is to start at most once", { atMostOnce: true }, "archived: cancelled"],
  ])("a task whose worker stops %s", (_what, fields, expected) => {
    expect(inShort(judge(holdfast("WORKER_STOPPING", { id: "a" }), fields))).toBe(expected);
  });

  it("tells what lies underneath, three levels down at the most", () => {
    const deep = [1, 2, 3, 4, 5].reduce<Error>(
      (cause, level) => new Error(`level ${level}`, { cause }),
      new Error("level 0"),
    );

    expect(judge(new TypeError("fetch failed", { cause: new Error("connect ECONNREFUSED") }))).toMatchObject({
      failure: { class: "TypeError", message: "fetch failed: connect ECONNREFUSED" },
    });
    expect(judge(deep)).toMatchObject({ failure: { message: "level 5: level 4: level 3: level 2" } });
  });
});

class Unnamed extends Error {
  override get name(): string {
    throw new Error("no name for you");
  }
}
class Wordless extends Error {
  override get message(): string {
    throw new Error("no words for you");
  }
}
const cyclic = new Error("round");
cyclic.cause = cyclic;
const trap = new Proxy(new Error("trap"), {
  getPrototypeOf() {
    throw new Error("no prototype for you");
  },
});
const revoked = Proxy.revocable({}, {});
revoked.revoke();

describe("what handlers throw", () => {
  it.each<[what: string, thrown: unknown, expected: { class: string; message: string }]>([
    ["an error", new TypeError("boom"), { class: "TypeError", message: "boom" }],
    ["an error without words", new RangeError(""), { class: "RangeError", message: "RangeError" }],
    ["null", null, { class: "null", message: "null" }],
    ["undefined", undefined, { class: "undefined", message: "undefined" }],
    ["a string", "boom", { class: "string", message: "boom" }],
    ["an empty string", "", { class: "string", message: "string" }],
    ["a number", 42, { class: "number", message: "42" }],
    ["a symbol", Symbol("s"), { class: "symbol", message: "Symbol(s)" }],
    ["an object", { code: 5 }, { class: "object", message: "[object Object]" }],
    [
      "an object without a prototype",
      Object.create(null),
      { class: "unreadable", message: "what was thrown could not be read" },
    ],
    ["an error with a cyclic cause", cyclic, { class: "Error", message: "round" }],
    ["an error whose name throws", new Unnamed("x"), { class: "Error", message: "what was thrown could not be read" }],
    [
      "an error whose message throws",
      new Wordless(),
      { class: "unreadable", message: "what was thrown could not be read" },
    ],
    ["a proxy that throws", trap, { class: "Error", message: "what was thrown could not be read" }],
    ["a revoked proxy", revoked.proxy, { class: "Error", message: "what was thrown could not be read" }],
    ["lone surrogates", new Error("a\ud800b"), { class: "Error", message: "a\ufffdb" }],
    [
      "an error with an object for a message",
      Object.assign(new Error("x"), { message: { a: 1 } }),
      { class: "Error", message: "[object Object]" },
    ],
  ])("becomes a failure that can be stored: %s", (_what, thrown, expected) => {
    const outcome = judge(thrown);

    expect(inShort(outcome)).toBe("retry: failed, in 60 s");
    expect(outcome).toMatchObject({ failure: { ...expected, startedAtMs: nowMs - 5, durationMs: 5 } });
    expect(JSON.parse(JSON.stringify(outcome))).toMatchObject({ failure: expected });
  });

  it("is cut to what can be kept, 50 MB as well, and never inside a character", () => {
    const enormous = new Error(`${"x".repeat(4_095)}😀${"y".repeat(50_000_000)}`);
    enormous.name = "N".repeat(1_000);
    enormous.stack = "s".repeat(1_000_000);

    const failure = failureOf(enormous, "failed", attempt({ keepStack: true }));

    expect(failure.class).toHaveLength(128);
    expect(failure.message).toBe(`${"x".repeat(4_095)}\ufffd`);
    expect(failure.stack).toHaveLength(8_192);
  });

  it("keeps the stack only where it is wanted and there is one", () => {
    expect(failureOf(new Error("boom"), "failed", attempt({ keepStack: true })).stack).toMatch(/outcome\.test/);
    expect("stack" in failureOf("boom", "failed", attempt({ keepStack: true }))).toBe(false);
    expect("stack" in failureOf(new Error("boom"), "failed", attempt())).toBe(false);
  });
});

describe("what a definition says of a cause", () => {
  const told = (fingerprint: (error: unknown) => unknown) =>
    failureOf(named("BankError", { code: 7 }), "failed", attempt({ fingerprint })).fingerprint;

  it("goes with the failure, if it is text", () => {
    expect(told((error) => `bank ${(error as { code: number }).code}`)).toBe("bank 7");
    expect(told(() => "x".repeat(9_999))).toHaveLength(256);
    expect(told(() => 7)).toBeUndefined();
    expect(told(() => "")).toBeUndefined();
  });

  it("never stands in the way: what throws says nothing", () => {
    const thrower = () => {
      throw new Error("no");
    };
    expect(told(thrower)).toBeUndefined();
  });
});
