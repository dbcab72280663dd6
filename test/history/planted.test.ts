import { describe, expect, it } from "vitest";
import { check } from "./check.js";
import type { Event } from "./events.js";
import { Book, planted } from "./planted.js";
import { scenario } from "./scenario.js";

describe("the history checker", () => {
  it.each([1, 2, 3, 4, 5])("finds nothing in a history in which all went well (seed %i)", (seed) => {
    const { violations, counts, duplicates } = check(scenario(seed));

    expect(violations).toEqual([]);
    expect(counts).toMatchObject({ lost: 0, spooled: 0 });
    expect(duplicates).toEqual({ "worker killed": 1, "worker frozen": 1, "lease lost": 1, "acknowledgement lost": 1 });
  });

  it.each(planted)("finds it when $bug", ({ breaks, plant }) => {
    const book = new Book(scenario(1));
    plant(book);

    const { violations } = check(book.history);

    expect(violations.map(({ invariant }) => invariant)).toContain(breaks);
  });

  it("takes a worker's two runs at once of what it lost and got again for those two", () => {
    const { events, final } = scenario(1);
    const run = { k: "again", id: "id-again", attempt: 1, hash: "hash" };
    const its: Event[] = [
      { at: 91_000, by: "p1", e: "invoke", k: "again", queue: "default", maxRetry: 3, hash: "hash", withinMs: 1_000 },
      { at: 91_001, by: "p1", e: "accepted", k: "again", id: "id-again", how: "enqueued" },
      { at: 91_010, by: "w1", e: "start", ...run, run: "first" },
      { at: 91_020, by: "supervisor", e: "fault", fault: "cut", what: "on" },
      { at: 97_000, by: "w1", e: "start", ...run, run: "second" },
      { at: 97_100, by: "w1", e: "leaseLost", id: "id-again" },
      { at: 98_000, by: "w1", e: "finish", k: "again", run: "first", how: "done" },
      { at: 99_000, by: "w1", e: "finish", k: "again", run: "second", how: "done" },
      { at: 99_001, by: "w1", e: "settled", id: "id-again", outcome: "completed", receipt: "settled" },
    ];
    const settledLate: Event[] = its.flatMap((one): Event[] => {
      if (one.e === "leaseLost") return [];
      const settled = { at: 98_001, by: "w1", e: "settled", id: "id-again", outcome: "completed" } as const;
      return one.e === "finish" && one.run === "first" ? [one, { ...settled, receipt: "leaseLost" }] : [one];
    });

    for (const more of [its, settledLate]) {
      const { violations, duplicates } = check({ final, events: [...events, ...more] });
      expect(violations).toEqual([]);
      expect(duplicates["lease lost"]).toBe(2);
    }
  });

  it("takes it that a worker which was cut off had lost its task, though it was killed before it could say so", () => {
    const { events, final } = scenario(1);
    const run = { k: "cut", id: "id-cut", attempt: 1, hash: "hash" };
    const its: Event[] = [
      { at: 91_000, by: "p1", e: "invoke", k: "cut", queue: "default", maxRetry: 3, hash: "hash", withinMs: 1_000 },
      { at: 91_001, by: "p1", e: "accepted", k: "cut", id: "id-cut", how: "enqueued" },
      { at: 91_010, by: "w4", e: "start", ...run, run: "first" },
      { at: 91_020, by: "supervisor", e: "fault", fault: "cut", what: "on" },
      { at: 97_000, by: "w3", e: "start", ...run, run: "second" },
      { at: 97_100, by: "supervisor", e: "process", name: "w4", what: "killed" },
      { at: 98_000, by: "w3", e: "finish", k: "cut", run: "second", how: "done" },
      { at: 98_001, by: "w3", e: "settled", id: "id-cut", outcome: "completed", receipt: "settled" },
    ];

    const { violations, duplicates } = check({ final, events: [...events, ...its] });
    const calm = check({ final, events: [...events, ...its.filter(({ e }) => e !== "fault")] });

    expect(violations).toEqual([]);
    expect(duplicates["lease lost"]).toBe(2);
    expect(calm.violations.map(({ invariant }) => invariant)).toEqual(["duplicate", "overlap"]);
  });

  it("finds what is lost, and says how many", () => {
    const book = new Book(scenario(1));
    const all = book.all("invoke", ({ k }) => k.startsWith("plain")).slice(0, 40);
    for (const { k } of all) book.forget(k);

    const { violations, counts } = check(book.history);

    expect(counts.lost).toBe(40);
    expect(violations.filter(({ invariant }) => invariant === "lost")).toHaveLength(40);
  });

  it("takes time in proportion to the history", () => {
    const { events, final } = scenario(1);
    const many = (times: number) => {
      const copies = Array.from({ length: times }, (_, copy) =>
        // What befell the fleet befell it once.
        events
          .filter((event) => copy === 0 || "k" in event)
          .map((event) => (copy > 0 && "k" in event ? { ...event, k: `${copy}-${event.k}` } : event)),
      );
      return { final, events: copies.flat() as Event[] };
    };
    const timed = (times: number) => {
      const history = many(times);
      const startMs = performance.now();
      check(history);
      return performance.now() - startMs;
    };
    // The quickest of some, in turn: on a busy machine each may be held up.
    const rounds = Array.from({ length: 4 }, () => [timed(5), timed(50)] as const);
    const [few, tenfold] = [Math.min(...rounds.map(([ms]) => ms)), Math.min(...rounds.map(([, ms]) => ms))];

    // Ten times the work, and what sorting adds: a hundred times would be a square.
    expect(tenfold).toBeLessThan(40 * Math.max(5, few));
  });
});
