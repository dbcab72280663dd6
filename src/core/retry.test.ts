import { describe, expect, it } from "vitest";
import { maxDurationMs } from "./duration.js";
import { asynqBackoff, exponential, fixed, type RetryPolicy, retryDelayMs, retryHorizonMs } from "./retry.js";

const delays = (policy: RetryPolicy, failures: readonly number[]) =>
  failures.map((retried) => retryDelayMs(policy, new Error("boom"), { retried, maxRetry: 25, type: "t" }));
const lowest = () => 0;
const highest = () => 1 - 2 ** -53;
const dayMs = 86_400_000;

describe("asynqBackoff", () => {
  it("is asynq's curve: n⁴ + 15 s, and up to 29·(n + 1) s by chance", () => {
    const failures = [0, 1, 2, 3, 10, 24];

    expect(delays(asynqBackoff(lowest), failures)).toEqual([15_000, 16_000, 31_000, 96_000, 10_015_000, 331_791_000]);
    expect(delays(asynqBackoff(highest), failures)).toEqual([
      44_000, 74_000, 118_000, 212_000, 10_334_000, 332_516_000,
    ]);
  });

  it("gives up after about 20 days with 25 retries", () => {
    expect(retryHorizonMs(asynqBackoff(lowest), "t", 25) / dayMs).toBeCloseTo(20.41, 2);
    expect(retryHorizonMs(asynqBackoff(highest), "t", 25) / dayMs).toBeCloseTo(20.52, 2);
  });

  it("stays a time that can be told, however often a task has failed", () => {
    expect(delays(asynqBackoff(), [238, 10_000, 2_147_483_647])).toEqual([maxDurationMs, maxDurationMs, maxDurationMs]);
  });
});

describe("exponential", () => {
  it("draws from the whole range below base · factor^n, up to the most", () => {
    const options = { base: "2s", max: "1m", factor: 3 } as const;
    const failures = [0, 1, 2, 3, 4, 50, 2_000];

    expect(delays(exponential(options, highest), failures)).toEqual([
      2_000, 6_000, 18_000, 54_000, 60_000, 60_000, 60_000,
    ]);
    expect(
      delays(
        exponential(options, () => 0.5),
        failures,
      ),
    ).toEqual([1_000, 3_000, 9_000, 27_000, 30_000, 30_000, 30_000]);
    expect(delays(exponential(options, lowest), failures)).toEqual(failures.map(() => 1_000));
  });

  it("begins at 1 s, doubles, and ends at 1 h unless told otherwise", () => {
    expect(delays(exponential({}, highest), [0, 1, 11, 12, 25])).toEqual([
      1_000, 2_000, 2_048_000, 3_600_000, 3_600_000,
    ]);
  });

  it("spreads evenly", () => {
    const draws = Array.from({ length: 4_000 }, () => delays(exponential({ base: "100s" }), [0])[0]!);
    const mean = draws.reduce((sum, draw) => sum + draw, 0) / draws.length;

    // The standard error of the mean is 100 s / √12 / √4000 = 0.46 s.
    expect(mean).toBeGreaterThan(47_000);
    expect(mean).toBeLessThan(53_000);
  });

  it.each([
    [{ base: "0.5 s" }, "exponential.base"],
    [{ max: 5 }, "exponential.max"],
    [{ factor: 0.5 }, "exponential.factor"],
    [{ factor: Number.NaN }, "exponential.factor"],
    [{ factor: 101 }, "exponential.factor"],
    [{ factor: "2" }, "exponential.factor"],
    [{ minimum: "2s" }, "exponential.minimum"],
  ])("refuses %j", (options, option) => {
    expect(() => exponential(options as object)).toThrow(
      expect.objectContaining({ code: "OPTION_INVALID", data: expect.objectContaining({ option }) }),
    );
  });
});

describe("fixed", () => {
  it("is the same each time, and checks its duration at once", () => {
    expect(delays(fixed("30s"), [0, 7, 24])).toEqual([30_000, 30_000, 30_000]);
    expect(delays(fixed("0s"), [0])).toEqual([1_000]);
    expect(() => fixed("30 seconds" as "30s")).toThrow(expect.objectContaining({ code: "OPTION_INVALID" }));
  });
});

describe("retryDelayMs", () => {
  it("passes the error and the attempt to the policy, and takes durations and numbers", () => {
    const seen: unknown[] = [];
    const policy: RetryPolicy = (error, attempt) => {
      seen.push(error, attempt);
      return attempt.retried === 0 ? "2.5s" : 1_500.2;
    };

    expect(delays(policy, [0, 1])).toEqual([2_500, 1_501]);
    expect(seen).toEqual([
      new Error("boom"),
      { retried: 0, maxRetry: 25, type: "t" },
      new Error("boom"),
      expect.anything(),
    ]);
  });

  it.each([0, 1, 999.5, "0s", "10ms"] as const)("takes %s as one second", (answer) => {
    expect(delays(() => answer, [0])).toEqual([1_000]);
  });

  it("takes a number past 100 years as 100 years", () => {
    expect(delays(() => 1e300, [0])).toEqual([maxDurationMs]);
  });

  it.each([[Number.NaN], [-1], [Number.POSITIVE_INFINITY], ["soon"], [undefined], [null], [Promise.resolve(5)]])(
    "refuses %s as an answer, naming the type",
    (answer) => {
      expect(() => delays(() => answer as number, [0])).toThrow(
        expect.objectContaining({
          code: "OPTION_INVALID",
          data: expect.objectContaining({ option: 'retry policy of "t"' }),
        }),
      );
    },
  );
});
