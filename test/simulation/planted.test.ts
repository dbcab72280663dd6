import { expect, it } from "vitest";
import { planted } from "./planted.js";
import { simulate } from "./run.js";

/** As many as are run in CI; of a bug that is found later alone those around its seed. */
const seeds = 500;
const around = 10;

it.each(planted)("the simulation finds it when $bug", { timeout: 120_000 }, async ({ breaks, plant, from = 1 }) => {
  const undo = plant();
  try {
    const found = new Set<string>();
    for (let seed = from; seed <= Math.max(seeds, from + around) && !breaks.some((one) => found.has(one)); seed += 1)
      for (const { invariant } of (await simulate(seed)).violations) found.add(invariant);

    expect(breaks).toContain([...found].find((one) => breaks.includes(one)));
  } finally {
    undo();
  }
});
