import { describe, expect, it } from "vitest";
import { queueOrder, weightedQueues } from "./queues.js";

/** The same sequence each time: a linear congruential generator (Numerical Recipes, §7.1). */
function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => (state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0) / 2 ** 32;
}

const queues = weightedQueues({ low: 1, critical: 6, default: 3 }, "queues");

describe("weightedQueues", () => {
  it("sorts by weight, the heaviest first, and keeps the order among equals", () => {
    expect(queues.map(({ name }) => name)).toEqual(["critical", "default", "low"]);
    expect(weightedQueues({ b: 1, a: 1 }, "queues").map(({ name }) => name)).toEqual(["b", "a"]);
  });

  it("takes a bound beside the weight", () => {
    expect(weightedQueues({ a: { concurrency: 2 }, b: { weight: 3 } }, "queues")).toEqual([
      { name: "b", weight: 3, concurrency: undefined },
      { name: "a", weight: 1, concurrency: 2 },
    ]);
  });

  it.each([
    [{}, "queues", "at least one queue"],
    [{ a: { weight: 0 } }, "queues.a.weight", "a whole number, 1 … 1000, got 0"],
    [{ a: { concurrency: "2" } }, "queues.a.concurrency", 'got "2"'],
    [{ a: { most: 2 } }, "queues.a.most", "is not an option"],
    [null, "queues", "must be an object such as { critical: 6, default: 1 }"],
    [["default"], "queues", "got an array"],
    ["default", "queues", 'got "default"'],
    [{ a: 0 }, "queues.a", "a whole number, 1 … 1000, got 0"],
    [{ a: -1 }, "queues.a", "got -1"],
    [{ a: 1.5 }, "queues.a", "got 1.5"],
    [{ a: Number.NaN }, "queues.a", "got NaN"],
    [{ a: "6" }, "queues.a", 'got "6"'],
    [{ a: 1_001 }, "queues.a", "got 1001"],
    [{ "a b": 1 }, "queues", "1 to 128 letters"],
    [{ "{a}": 1 }, "queues", "1 to 128 letters"],
  ])("refuses %j", (value, option, problem) => {
    expect(() => weightedQueues(value, "queues")).toThrow(
      expect.objectContaining({ data: { option, problem: expect.stringContaining(problem) } }),
    );
  });
});

describe("queueOrder", () => {
  it("is by weight when strict, whatever chance says", () => {
    expect(queueOrder(queues, true, () => 0.999)).toEqual(["critical", "default", "low"]);
  });

  it("draws by weight over what is left", () => {
    const draws = 20_000;
    const random = seeded(42);
    const first: Record<string, number> = {};
    const second: Record<string, number> = {};
    for (let draw = 0; draw < draws; draw += 1) {
      const [one, two] = queueOrder(queues, false, random);
      first[one!] = (first[one!] ?? 0) + 1;
      if (one === "critical") second[two!] = (second[two!] ?? 0) + 1;
    }

    expect(first["critical"]! / draws).toBeCloseTo(0.6, 1);
    expect(first["default"]! / draws).toBeCloseTo(0.3, 1);
    expect(first["low"]! / draws).toBeCloseTo(0.1, 1);
    expect(second["default"]! / first["critical"]!).toBeCloseTo(0.75, 1);
  });

  it.each([0, 0.5, 1 - 2 ** -53])("names each queue once, for any draw (%d)", (draw) => {
    expect(queueOrder(queues, false, () => draw).toSorted()).toEqual(["critical", "default", "low"]);
    expect(queues).toHaveLength(3);
  });
});
