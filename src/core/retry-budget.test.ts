import { describe, expect, it } from "vitest";
import { fixed } from "./retry.js";
import { retryBudgetOf, withinBudget } from "./retry-budget.js";

const attempt = { retried: 0, maxRetry: 5, type: "a" };

describe("a retry budget", () => {
  it("leaves as many retries as it has when the policy says, and spreads out the others", () => {
    let nowMs = 0;
    const policy = withinBudget(fixed("10s"), { perMinute: 3 }, () => nowMs);
    const fail = () => policy(new Error("away"), attempt);

    expect([1, 2, 3, 4, 5].map(fail)).toEqual([10_000, 10_000, 10_000, 30_000, 50_000]);
    nowMs = 40_000;
    expect(fail()).toBe(30_000);
    nowMs = 1_000_000;
    expect([1, 2, 3, 4].map(fail)).toEqual([10_000, 10_000, 10_000, 30_000]);
  });

  it("counts no failure of which the policy itself fails", () => {
    let broken = true;
    const policy = withinBudget(
      () => (broken ? Number.NaN : "10s"),
      { perMinute: 1 },
      () => 0,
    );

    expect(() => policy(undefined, attempt)).toThrow("must answer a duration");
    broken = false;
    expect([1, 2].map(() => policy(undefined, attempt))).toEqual([10_000, 70_000]);
  });

  it.each([
    [{ perMinute: 0 }, "x.perMinute"],
    [{}, "x.perMinute"],
    [{ perSecond: 1 }, "x.perSecond"],
    [5, "x"],
  ])("%j is refused, naming %s", (value, option) => {
    expect(() => retryBudgetOf(value, "x")).toThrow(
      expect.objectContaining({ data: expect.objectContaining({ option }) }),
    );
  });
});
