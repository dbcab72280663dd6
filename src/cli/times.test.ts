import { describe, expect, it } from "vitest";
import { dateAndDistance, iso, relative, span } from "./times.js";

describe("times for people", () => {
  it("names the largest unit, and never more than there is", () => {
    const ms = [0, 999, 1_000, 59_999, 60_000, 3_599_999, 3_600_000, 47 * 3_600_000, 48 * 3_600_000, 90 * 86_400_000];

    expect(ms.map(span)).toEqual(["0 ms", "999 ms", "1 s", "59 s", "1 m", "59 m", "1 h", "47 h", "2 d", "90 d"]);
  });

  it("tells what is to come from what was", () => {
    expect([relative(180_000, 0), relative(0, 7_300_000), relative(5, 0)]).toEqual(["in 3 m", "2 h ago", "now"]);
    expect(dateAndDistance(Date.UTC(2026, 0, 2, 3, 4, 5), Date.UTC(2026, 0, 2, 3, 5, 5))).toBe(
      "2026-01-02 03:04:05 UTC (1 m ago)",
    );
  });

  it("knows that other programs store times that no calendar has", () => {
    expect([iso(undefined), iso(Number.NaN), iso(9e18)]).toEqual([null, null, null]);
    expect(dateAndDistance(-9e18, 0)).toBe("beyond the calendar");
  });
});
