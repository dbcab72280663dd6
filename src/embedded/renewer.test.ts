import { afterEach, expect, it } from "vitest";
import type { Lease } from "../broker/broker.js";
import { until } from "../../test/support/until.js";
import { FollowingClock, Renewer } from "./renewer.js";

let renewer: Renewer | undefined;
afterEach(() => renewer?.close());

it("renews every third of a lease: never past the given time, and never what is dropped or lost", async () => {
  let nowMs = 1_000_000;
  const lease = (id: string): Lease => ({ queue: "q", id, token: "t", untilMs: nowMs + 5_000 });
  const [kept, dropped, lost, ending] = ["kept", "dropped", "lost", "ending"].map(lease);
  const calls: string[][] = [];
  renewer = new Renewer(5_000, { nowMs: () => nowMs }, (leases) => {
    calls.push(leases.map(({ id, untilMs }) => `${id} +${untilMs - nowMs}`));
    return leases.filter(({ id }) => id === "lost");
  });

  renewer.hold([kept!, dropped!, lost!].map((one) => ({ lease: one, renewUntilMs: nowMs + 60_000 })));
  renewer.hold([{ lease: ending!, renewUntilMs: nowMs + 1_200 }]);
  renewer.drop([dropped!, { ...kept!, token: "of another lease" }]);
  const startMs = performance.now();
  await until("the first turn", () => calls.length === 1);
  const firstMs = performance.now() - startMs;
  nowMs += 1_667;
  await until("the second turn", () => calls.length === 2);

  expect(firstMs).toBeGreaterThan(1_600);
  expect(calls).toEqual([["kept +5000", "lost +5000", "ending +1200"], ["kept +5000"]]);
});

it("goes by what was held last, where a lease is held again", async () => {
  const nowMs = 1_000_000;
  const lease = (id: string): Lease => ({ queue: "q", id, token: "t", untilMs: nowMs + 5_000 });
  const calls: string[][] = [];
  renewer = new Renewer(5_000, { nowMs: () => nowMs }, (leases) => {
    calls.push(leases.map(({ id, untilMs }) => `${id} +${untilMs - nowMs}`));
    return [];
  });

  renewer.hold([
    { lease: lease("longer"), renewUntilMs: nowMs - 1 },
    { lease: lease("shorter"), renewUntilMs: nowMs + 60_000 },
  ]);
  renewer.hold([
    { lease: lease("longer"), renewUntilMs: nowMs + 60_000 },
    { lease: lease("shorter"), renewUntilMs: nowMs - 1 },
  ]);
  await until("a turn", () => calls.length === 1);

  expect(calls).toEqual([["longer +5000"]]);
});

it("reads a clock that has followed its reference, however long nobody looked", () => {
  let aheadMs = 0;
  const clock = new FollowingClock({ nowMs: () => Date.now() + aheadMs });
  expect(Math.abs(clock.nowMs() - Date.now())).toBeLessThan(100);

  aheadMs = 3_600_000;

  expect(Math.abs(clock.nowMs() - Date.now() - aheadMs)).toBeLessThan(100);
});
