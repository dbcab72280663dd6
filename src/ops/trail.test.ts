import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { expect, it } from "vitest";
import { queueFacts } from "../../test/support/queue-facts.js";
import { until } from "../../test/support/until.js";
import type { Facts } from "./facts.js";
import { counters, Trail } from "./trail.js";

const facts = (atMs: number, archived: number, more: Partial<Facts> = {}): Facts => ({
  atMs,
  queues: [queueFacts("mail", { archived })],
  groups: undefined,
  types: undefined,
  servers: [],
  ...more,
});

setFlagsFromString("--expose-gc");
const collectGarbage = runInNewContext("gc") as () => void;

/** What typed arrays take of memory, bytes; what is let go of may count for a moment. */
function arrayBytes(): number {
  collectGarbage();
  return process.memoryUsage().arrayBuffers;
}

it("counts what has come, also where as much has gone", () => {
  const trail = new Trail(60_000);
  for (const [n, archived] of [100, 110, 90, 95].entries()) trail.add(facts(n * 1_000, archived));

  expect(trail.arrived("mail")).toBe(15);
  expect(trail.increase(counters.arrived("mail"), 60_000, 3_000)).toEqual({ by: 15, whole: false });
  expect(trail.increase(counters.arrived("mail"), 2_000, 3_000)).toEqual({ by: 5, whole: true });
});

it("tells long windows and short ones, each to a twentieth of its length, from few samples", () => {
  const trail = new Trail(3_600_000);
  for (let n = 0; n <= 50_000; n += 1) trail.add(facts(n * 100, n));

  for (const windowMs of [1_000, 60_000, 600_000, 3_600_000]) {
    const { by, whole } = trail.increase(counters.arrived("mail"), windowMs, 5_000_000);
    expect(whole).toBe(true);
    expect(by).toBeGreaterThanOrEqual(windowMs / 100);
    expect(by).toBeLessThanOrEqual((windowMs / 100) * 1.06);
  }
  expect(trail.size).toBeLessThan(250);
});

it("adds up a type's attempts over queues, and leaves out what no handler ended", () => {
  const trail = new Trail(60_000);
  const one = (outcome: string, count: number, queue = "mail") => ({ queue, type: "x", outcome, reason: "", count });
  trail.add(facts(0, 0, { types: [one("completed", 5)] }));
  trail.add(
    facts(1_000, 0, {
      types: [one("completed", 15), one("retry", 3), one("archived", 2, "other"), one("released", 100)],
    }),
  );

  expect(trail.increase(counters.type("x", "all"), 1_000, 1_000)).toEqual({ by: 15, whole: true });
  expect(trail.increase(counters.type("x", "failed"), 1_000, 1_000).by).toBe(5);
});

it("takes eight bytes for each counter of a queue that is at work, and no more the longer queues come and go", async () => {
  const before = arrayBytes();
  const takesAtMost = (bytes: number) => until(`it takes ${bytes} bytes at most`, () => arrayBytes() - before <= bytes);
  const trail = new Trail(20_000);
  const look = (n: number, names: readonly string[]) => {
    const queues = names.map((name) => {
      const { info, ...more } = queueFacts(name, { archived: n });
      return { ...more, info: { ...info, processed: 10 + n } };
    });
    trail.add(facts(n * 1_000, 0, { queues }));
  };
  const named = (of: string, count: number) => Array.from({ length: count }, (_, n) => `${of}-${n}`);
  for (let n = 0; n < 30; n += 1) look(n, named("stays", 1_000));

  // Two of each are counted: what has come, and what has finished. Something else in this process may take a little, too.
  await takesAtMost(trail.size * 2_500 * 8);
  for (let n = 30; n < 80; n += 1) look(n, [...named("stays", 10), ...named(`of-${Math.floor(n / 5)}`, 300)]);

  // Of 8,000 that there were.
  await takesAtMost(trail.size * 6_000 * 8);
  expect(trail.increase(counters.arrived("stays-1"), 10_000, 79_000)).toEqual({ by: 10, whole: true });
  expect(trail.increase(counters.finished("stays-9"), 20_000, 79_000)).toEqual({ by: 20, whole: true });
});

it("takes what a server deleted long ago for no news when it comes back from where it was not seen", () => {
  const trail = new Trail(60_000);
  const server = (atMs: number, count: number) => ({
    node: "db:6379",
    evicted: { count, runId: "one", uptimeMs: 9_000_000 + atMs, atMs },
  });
  const looks = [[server(0, 7)], [server(1_000, 9)], [], [], [server(4_000, 9)], [server(5_000, 10)]];
  const grown = looks.map((servers, n) => {
    trail.add(facts(n * 1_000, 0, { servers }));
    return trail.increase(counters.evicted("db:6379"), 1_000, n * 1_000).by;
  });

  expect(grown).toEqual([0, 2, 0, 0, 0, 1]);
});
