import { describe, expect, it } from "vitest";
import { ceilToS, type Duration, floorToS, maxDurationMs, toMs } from "./duration.js";

describe("toMs", () => {
  it.each([
    ["250ms", 250],
    ["30s", 30_000],
    ["1.5m", 90_000],
    ["2h", 7_200_000],
    ["7d", 604_800_000],
    ["0s", 0],
    ["0.1s", 100],
    ["0.0004s", 0],
    ["1.005s", 1_005],
    ["36500d", maxDurationMs],
  ] as const)("%s is %d ms", (duration, ms) => {
    expect(toMs(duration, "timeout")).toBe(ms);
  });

  it.each([
    ["30 s"],
    ["5 minutes"],
    ["30"],
    ["-5s"],
    ["1e3s"],
    ["0x10s"],
    ["s"],
    [""],
    [" 5s"],
    ["5s\n"],
    ["5S"],
    ["1h30m"],
    ["٣s"],
    ["NaNs"],
    ["Infinityd"],
    ["36501d"],
    [`${"9".repeat(400)}d`],
    [30],
    [Number.NaN],
    [-1],
    [null],
    [undefined],
    [["30s"]],
    [{ toString: () => "30s" }],
  ])("refuses %j, naming the option and what is allowed", (value) => {
    expect(() => toMs(value as Duration, "timeout")).toThrow(
      expect.objectContaining({
        code: "OPTION_INVALID",
        data: expect.objectContaining({ option: "timeout", problem: expect.stringMatching(/^must be .*d/) }),
      }),
    );
  });

  it("answers at once for a hostile megabyte", () => {
    expect(() => toMs(`${"1".repeat(1_000_000)}x` as Duration, "timeout")).toThrow(
      /timeout: must be a duration.{0,140}$/,
    );
  });
});

describe("whole seconds", () => {
  it("rounds times to come up, and now down", () => {
    expect([1, 1_000, 1_001].map(ceilToS)).toEqual([1, 1, 2]);
    expect([999, 1_000, 1_999].map(floorToS)).toEqual([0, 1, 1]);
  });
});
