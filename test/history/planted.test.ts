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
    timed(5);

    // Ten times the work, and what sorting and a busy machine add: a hundred times would be a square.
    expect(timed(50)).toBeLessThan(40 * Math.max(5, timed(5)));
  });
});
