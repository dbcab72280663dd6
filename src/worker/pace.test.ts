import { expect, it } from "vitest";
import { Pace } from "./pace.js";

const paced = (...gapsMs: number[]) => {
  const pace = new Pace();
  for (const gapMs of gapsMs) pace.ended(gapMs);
  return pace;
};

it("leases nothing ahead before anything has ended", () => {
  expect(new Pace().ahead).toBe(0);
});

it.each([
  [500, 0],
  [100, 1],
  [2, 50],
  [0.001, 400],
])("a task every %d ms: %d wait, a tenth of a second's work and no more than 400", (gapMs, ahead) => {
  expect(paced(...Array.from({ length: 200 }, () => gapMs)).ahead).toBe(ahead);
});

it("after what waited too long none waits, until handlers have been quick for a while", () => {
  const pace = paced(1, 1, 1);
  pace.stalled();
  expect(pace.ahead).toBe(0);
  for (let n = 0; n < 200; n++) pace.ended(1);
  expect(pace.ahead).toBeGreaterThan(80);
});
