import { expect, it } from "vitest";
import { queueFacts } from "../../../test/support/queue-facts.js";
import type { Facts } from "../facts.js";
import { Trail } from "../trail.js";
import { exposition } from "./exposition.js";
import { StorageMetrics } from "./families.js";

const died = (queue: string, type: string, count: number, reason = "timeout") => ({
  queue,
  type,
  outcome: "archived",
  reason,
  count,
});
const facts = (more: Partial<Facts>): Facts => ({
  atMs: 0,
  queues: [],
  groups: undefined,
  types: undefined,
  servers: [],
  ...more,
});
const metrics = (queues: number, types: number) =>
  new StorageMetrics({ metricQueues: queues, metricTypes: types }, new Trail(1));
/** The samples of a metric, as lines without its name. */
const samples = (families: ReturnType<StorageMetrics["families"]>, name: string) =>
  exposition(families.filter((one) => one.name === name))
    .split("\n")
    .filter((line) => line.startsWith(name))
    .map((line) => line.slice(name.length));

it("tells the queues with most to do apart, and sums up the rest, however many they are", () => {
  const queues = Array.from({ length: 5_000 }, (_, n) => queueFacts(`q${n}`, { archived: n, pending: 1 }));
  const types = queues.flatMap(({ info: { name } }, n) =>
    ["a", "b", "c"].map((word) => died(name, `type:${n % 300}`, n, `free ${word}`)),
  );
  const families = metrics(200, 100).families(facts({ queues, types }));

  const archived = samples(families, "holdfast_queue_tasks").filter((line) => line.includes('"archived"'));
  expect(archived).toHaveLength(201);
  expect(archived).toContain('{queue="q4999",state="archived"} 4999');
  // 0 + 1 + … + 4,799
  expect(archived.at(-1)).toBe('{queue="other",state="archived"} 11517600');
  expect(samples(families, "holdfast_queues_folded")).toEqual(['{queue="other"} 4800']);
  expect(samples(families, "holdfast_types_folded")).toEqual(['{type="other"} 200']);
  expect(samples(families, "holdfast_queue_paused")).toHaveLength(200);
  const dead = samples(families, "holdfast_tasks_dead_total");
  expect(dead.length).toBeLessThanOrEqual(601);
  expect(dead.every((line) => line.includes('reason="other"'))).toBe(true);
  expect(exposition(families).length).toBeLessThan(500_000);
});

it("counts what has come up to this look, whoever made it", () => {
  const one = metrics(10, 10);
  const arrivedAt = (atMs: number, archived: number) =>
    samples(one.families(facts({ atMs, queues: [queueFacts("mail", { archived })] })), "holdfast_dlq_arrived_total");

  expect(arrivedAt(0, 7)).toEqual(['{queue="mail"} 0']);
  expect(arrivedAt(15_000, 507)).toEqual(['{queue="mail"} 500']);
});

it("lets what is folded only grow, whoever gets a name of its own", () => {
  const one = metrics(1, 1);
  const look = (atMs: number, a: number, b: number) =>
    one.families(
      facts({
        atMs,
        queues: [queueFacts("a", { archived: a }), queueFacts("b", { archived: b })],
        types: [died("a", "x", a), died("b", "y", b)],
      }),
    );
  const dead = (families: ReturnType<typeof look>) => samples(families, "holdfast_tasks_dead_total");
  const labels = 'type="other",reason="timeout"';

  expect(dead(look(0, 100, 90))).toEqual(['{queue="a",type="x",reason="timeout"} 100', `{queue="other",${labels}} 0`]);
  expect(dead(look(1, 100, 95))).toContain(`{queue="other",${labels}} 5`);
  // The other one is the biggest now: what it had before is not told once more.
  expect(dead(look(2, 101, 300))).toEqual([`{queue="other",${labels}} 6`, '{queue="b",type="y",reason="timeout"} 300']);
});

it("tells all apart where there is room, also one that is called other", () => {
  const families = metrics(2, 1).families(
    facts({ queues: [queueFacts("a"), queueFacts("other", { pending: 7 })], types: [died("a", "x", 3)] }),
  );

  expect(samples(families, "holdfast_queue_tasks")).toContain('{queue="other",state="pending"} 7');
  expect(samples(families, "holdfast_queue_paused")).toHaveLength(2);
  expect(samples(families, "holdfast_queues_folded")).toEqual(['{queue="other"} 0']);
});
