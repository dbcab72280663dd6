import { describe, expect, it } from "vitest";
import { seed } from "../support/seed.js";
import { simulate } from "./run.js";
import { told } from "./telling.js";

const seeds = Number(process.env["SEEDS"] ?? 500);
const together = 50;

describe(`a fleet to which all kinds of things happen: SEED=${seed} SEEDS=${seeds}`, () => {
  const parts = Array.from({ length: Math.ceil(seeds / together) }, (_, n) => seed + n * together);

  it.each(parts)("keeps what it promises (seeds from %i)", { timeout: 120_000 }, async (from) => {
    const failures: string[] = [];
    for (let one = from; one < Math.min(from + together, seed + seeds); one += 1) {
      const run = await simulate(one);
      if (run.violations.length > 0) failures.push(told(run));
    }

    expect(failures.join("\n\n")).toBe("");
  });

  it("is the same each time for the same seed", async () => {
    // What ids are made of differs, and what they stand for does not.
    const withoutIds = (line: string) => line.replaceAll(/[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f-]{21}/g, "id");
    const [first, second] = [await simulate(seed), await simulate(seed)];

    expect(first.counts.runs).toBeGreaterThan(0);
    expect(second.trace().map(withoutIds)).toEqual(first.trace().map(withoutIds));
  });
});
