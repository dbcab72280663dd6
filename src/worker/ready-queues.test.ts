import { expect, it } from "vitest";
import { weightedQueues } from "../core/queues.js";
import { ReadyQueues } from "./ready-queues.js";

const named = (count: number) =>
  weightedQueues(Object.fromEntries(Array.from({ length: count }, (_, n) => [`q${n}`, 1])), "queues");
const all = (count: number) => named(count).map(({ name }) => name);

it("looks everywhere at first, and at a few queues always", () => {
  expect(new ReadyQueues(named(1_000), true).inOrder()).toEqual(all(1_000));
  const few = new ReadyQueues(named(5), true);
  few.dry(all(5));
  expect(few.inOrder()).toEqual(all(5));
});

it("leaves dry ones out, all but a few that go round, until it hears of them", () => {
  const queues = new ReadyQueues(named(1_000), true);
  queues.dry(all(1_000));
  const first = queues.inOrder();
  const second = queues.inOrder();
  expect(first).toHaveLength(16);
  expect(second).toHaveLength(16);
  expect(new Set([...first, ...second]).size).toBe(32);

  queues.nudge("q999");
  expect(queues.inOrder()).toContain("q999");
  queues.nudge();
  expect(queues.inOrder()).toHaveLength(1_000);
});
