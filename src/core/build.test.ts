import { describe, expect, it } from "vitest";
import { isOlderBuild } from "./build.js";

describe("a worker's build", () => {
  it.each([
    ["1.4.2", "1.4.2", false],
    ["1.10.0", "1.9.3", false],
    ["1.9.3", "1.10.0", true],
    ["v2", "1.9", false],
    ["1.4", "1.4.1", true],
    ["1.4.1", "1.4", false],
    ["2026-11-22", "2026-11-3", false],
    ["4711", "4712", true],
    ["1.4.0-rc", "1.4.0-beta", false],
    [undefined, "1", true],
    ["1", "", false],
    ["1", undefined, false],
  ])("%s is older than %s: %s", (build, min, older) => {
    expect(isOlderBuild(build, min)).toBe(older);
  });
});
