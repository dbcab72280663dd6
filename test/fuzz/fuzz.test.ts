import { describe, expect, it } from "vitest";
import { fuzz, type Target } from "./fuzz.js";
import { targets } from "./targets.js";
import { seed } from "../support/seed.js";

describe("whatever bytes come", () => {
  it.each(targets.map((target) => [target.name, target] as const))(
    "%s: is read, or refused with the typed error",
    async (_name, target) => {
      const { taken, refused } = await fuzz(target, target.few ?? 100_000, seed);

      // Mutations that are all refused, or none, would prove little; some readers pass over whatever they cannot read.
      expect(taken).toBeGreaterThan(100);
      expect(refused > 50 || target.forgives === true).toBe(true);
    },
    120_000,
  );

  const bytes = (name: string, attempt: (input: Buffer) => void): Target => ({
    name,
    seeds: [Buffer.from("seed")],
    input: (mutator) => mutator.next(),
    show: (input) => input.toString("hex"),
    try(input) {
      attempt(input);
      return "taken";
    },
  });

  it("a crash is told with its seed and its input, and comes again with that seed", async () => {
    const target = bytes("fragile", (input) => {
      if (input.includes(0xff)) throw new TypeError("cannot read 0xff");
    });
    const told = async () => fuzz(target, 10_000, 7).then(String, (error: Error) => error.message);

    expect(await told()).toMatch(/^fragile, seed 7, run \d+: cannot read 0xff\n[0-9a-f]*ff/);
    expect(await told()).toBe(await told());
  });

  it("a slow input is told, and so is one that takes memory", async () => {
    const slow = bytes("slow", (input) => {
      // Of the processor's time, which others may take a part of.
      const started = process.cpuUsage();
      while (input.length === 2 && process.cpuUsage(started).user < 150_000);
    });
    await expect(fuzz(slow, 10_000, 7)).rejects.toThrow(/^slow, seed 7, run \d+: took \d+ ms\n[0-9a-f]{4}$/);

    const kept: Buffer[] = [];
    const greedy = bytes("greedy", () => void kept.push(Buffer.alloc(300_000)));
    await expect(fuzz(greedy, 1_000, 7)).rejects.toThrow(/^greedy, seed 7, run \d+: memory grew/);
  }, 30_000);
});
