import { expect, it } from "vitest";
import type { RedriveStanding } from "./document.js";
import { added, nothing } from "./standing.js";

const ofOne = (cause: string): RedriveStanding => ({
  counts: { ...nothing.counts, failedSame: 1 },
  causes: { [cause]: { ended: 1, failed: 1 } },
});
const inQueues = (queues: number, causes: number) =>
  Array.from({ length: queues }, (_, n) => ofOne(`v1:${n % causes}`));

/** In turn, so that a machine that is busy for a while is so for each of them. */
function quickestMs(...acts: (() => unknown)[]): number[] {
  const quickest = acts.map(() => Number.POSITIVE_INFINITY);
  for (let round = 0; round < 7; round += 1) {
    for (const [n, act] of acts.entries()) {
      const beganMs = performance.now();
      act();
      quickest[n] = Math.min(quickest[n]!, performance.now() - beganMs);
    }
  }
  return quickest;
}

it("adds up many queues in a time that their causes do not multiply", () => {
  const [few, many] = [inQueues(20_000, 1), inQueues(20_000, 100)];

  expect(added(many)).toMatchObject({ counts: { failedSame: 20_000, left: 0 }, causes: { "v1:7": { ended: 200 } } });
  const [fewMs, manyMs] = quickestMs(
    () => added(few),
    () => added(many),
  );
  expect(manyMs).toBeLessThan(5 * fewMs!);
});

it("keeps a hundred causes apart, and counts all others as one", () => {
  const { causes } = added(inQueues(300, 150));

  expect(Object.keys(causes)).toHaveLength(101);
  expect(causes).toMatchObject({ "v1:99": { ended: 2, failed: 2 }, others: { ended: 100, failed: 100 } });
});
