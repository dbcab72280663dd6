import { describe, expect, it } from "vitest";
import { isRetryAfter, isRevoke, isSkipRetry, RetryAfter, Revoke, SkipRetry } from "./steering.js";

describe("steering", () => {
  it("is told apart by name, with its words and its cause", () => {
    const cause = new Error("underneath");
    const thrown = [new SkipRetry("skip", { cause }), new RetryAfter("2m"), new Revoke("moot")];

    expect(thrown.map(isSkipRetry)).toEqual([true, false, false]);
    expect(thrown.map(isRetryAfter)).toEqual([false, true, false]);
    expect(thrown.map(isRevoke)).toEqual([false, false, true]);
    expect(thrown.map((error) => error.message)).toEqual(["skip", "again in 2m", "moot"]);
    expect(thrown[0]!.cause).toBe(cause);
  });

  it("checks the delay where it is written", () => {
    expect(new RetryAfter("1.5s").delayMs).toBe(1_500);
    expect(() => new RetryAfter(30 as unknown as "30s")).toThrow(
      expect.objectContaining({
        code: "OPTION_INVALID",
        message: expect.stringMatching(/^RetryAfter: must be a duration/),
      }),
    );
  });
});
