import { describe, expect, it } from "vitest";
import { encodeProgress } from "./progress.js";
import { storedJson } from "./stored-json.js";

describe("progress", () => {
  it("is any JSON value of at most 4 KiB", () => {
    for (const value of [{ done: 3, of: 7 }, "half", 0.5, null, [], "x".repeat(4_094)]) {
      expect(storedJson(String(encodeProgress(value)))).toEqual(value);
    }
  });

  it("is refused where JSON cannot tell it, or tells it in more", () => {
    const circle: Record<string, unknown> = {};
    circle["self"] = circle;
    for (const value of [undefined, 1n, circle, () => {}, "x".repeat(4_095), "\u20ac".repeat(2_000)]) {
      expect(() => encodeProgress(value)).toThrow(expect.objectContaining({ code: "OPTION_INVALID" }) as Error);
    }
  });

  it("is nothing where what is stored is no JSON", () => {
    expect(storedJson("{")).toBeUndefined();
    expect(storedJson(undefined)).toBeUndefined();
  });
});
