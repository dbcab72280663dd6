import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type Answered, ReleaseRule } from "./release.js";
import { seed } from "../../test/support/seed.js";

fc.configureGlobal({ seed });

const trust = { afterMs: 100, afterSave: false };
const on = (id: string, more = {}) => ({ id, persistence: "aof" as const, ...more });
const task = (sequence: number, atMs: number): Answered => ({
  sequence,
  id: `t${sequence}`,
  outcome: { status: "enqueued", id: `t${sequence}`, state: "pending" },
  atMs,
  storageMs: 1_000_000 + atMs,
});
const sequences = (tasks: readonly Answered[]) => tasks.map(({ sequence }) => sequence);

describe("the release rule", () => {
  it("lets a task go when its answer is old enough and the incarnation is still the same", () => {
    const rule = new ReleaseRule();
    rule.look("q", on("a"), 0, trust);
    rule.answered("q", rule.eraOf("q")!, [task(1, 10), task(2, 50)]);

    expect(rule.look("q", on("a"), 109, trust)).toEqual({ released: [], again: [] });
    expect(sequences(rule.look("q", on("a"), 110, trust).released)).toEqual([1]);
    expect([rule.size, rule.holds(1), rule.holds(2)]).toEqual([1, false, true]);
    expect(sequences(rule.look("q", on("a"), 150, trust).released)).toEqual([2]);
    expect([rule.size, rule.queues()]).toEqual([0, []]);
  });

  it("knows no era of a queue that it has not seen: nothing is to be sent there", () => {
    const rule = new ReleaseRule();
    expect(rule.eraOf("q")).toBeUndefined();
    rule.look("q", undefined, 0, trust);
    expect(rule.eraOf("q")).toBeUndefined();
    rule.look("q", on("a"), 0, trust);
    expect(rule.eraOf("q")).toBe(1);
  });

  it("sends all again of a queue whose incarnation is another, and none of any other queue", () => {
    const rule = new ReleaseRule();
    for (const queue of ["q", "r"]) {
      rule.look(queue, on("a"), 0, trust);
      rule.answered(queue, rule.eraOf(queue)!, [task(queue === "q" ? 1 : 2, 0)]);
    }
    expect(rule.look("q", on("b"), 500, trust)).toMatchObject({ released: [], again: [{ sequence: 1 }] });
    expect(sequences(rule.look("r", on("a"), 500, trust).released)).toEqual([2]);
  });

  it("keeps what no replica has that may take over, until one that lacks it cannot any more", () => {
    const rule = new ReleaseRule();
    const replicas = (haveUntilMs?: number) => ({ replicas: { haveUntilMs, aloneAfterMs: 1_000 } });
    rule.look("q", on("a"), 0, trust);
    rule.answered("q", rule.eraOf("q")!, [task(1, 10), task(2, 50), task(3, 60)]);

    expect(rule.look("q", on("a", replicas()), 500, trust).released).toEqual([]);
    expect(rule.look("q", on("a", replicas(10)), 500, trust).released).toEqual([]);
    expect(sequences(rule.look("q", on("a", replicas(11)), 500, trust).released)).toEqual([1]);
    expect(rule.look("q", on("a", replicas(11)), 1_049, trust).released).toEqual([]);
    expect(sequences(rule.look("q", on("a", replicas(11)), 1_050, trust).released)).toEqual([2]);
    expect(sequences(rule.look("q", on("a"), 1_050, trust).released)).toEqual([3]);
  });

  it("takes no answer for what was sent before the incarnation changed", () => {
    const rule = new ReleaseRule();
    rule.look("q", on("a"), 0, trust);
    const era = rule.eraOf("q")!;
    rule.look("q", on("b"), 10, trust);
    expect(rule.answered("q", era, [task(1, 20)])).toBe(false);
    expect(rule.holds(1)).toBe(false);
    // Not even when the first one is back.
    rule.look("q", on("a"), 30, trust);
    expect(rule.answered("q", era, [task(1, 40)])).toBe(false);
  });

  it("lets nothing go while the incarnation cannot be told, and does not wait anew when it is found to have lasted", () => {
    const rule = new ReleaseRule();
    rule.look("q", on("a"), 0, trust);
    rule.answered("q", rule.eraOf("q")!, [task(1, 0)]);
    expect(rule.look("q", undefined, 1_000, trust)).toEqual({ released: [], again: [] });
    expect(sequences(rule.look("q", on("a"), 1_050, trust).released)).toEqual([1]);
  });

  it("waits for the snapshot that has the task where it is told to, and only where there is no log of writes", () => {
    const afterSave = { ...trust, afterSave: true };
    const rule = new ReleaseRule();
    const saved = (savedUntilMs?: number) => on("a", { persistence: "snapshot", savedUntilMs });
    rule.look("q", saved(), 0, afterSave);
    rule.answered("q", rule.eraOf("q")!, [task(1, 10)]);
    expect(rule.look("q", saved(), 500, afterSave).released).toEqual([]);
    expect(rule.look("q", saved(1_000_010), 600, afterSave).released).toEqual([]);
    expect(sequences(rule.look("q", saved(1_000_011), 700, afterSave).released)).toEqual([1]);
    rule.answered("q", rule.eraOf("q")!, [task(2, 700)]);
    expect(sequences(rule.look("q", on("a"), 900, afterSave).released)).toEqual([2]);
  });

  it("in whatever order things happen releases each once, and only what has outlived its doubts", () => {
    type Step =
      | { readonly do: "look"; readonly id: string | undefined }
      | { readonly do: "send" }
      | { readonly do: "answer" };
    const step: fc.Arbitrary<Step> = fc.oneof(
      fc.record({
        do: fc.constant("look" as const),
        id: fc.constantFrom("a", "a", "a", "a", "a", "a", "a", "b", undefined),
      }),
      fc.constantFrom({ do: "send" as const }, { do: "answer" as const }),
    );
    const timed = fc.array(fc.tuple(step, fc.integer({ min: 0, max: 90 })), { minLength: 10, maxLength: 60 });
    let releasedInAll = 0;
    let againInAll = 0;
    fc.assert(
      fc.property(timed, (steps) => {
        const rule = new ReleaseRule();
        const looks: { atMs: number; id: string | undefined }[] = [];
        const sentAtMs = new Map<number, number>();
        const answeredAtMs = new Map<number, number>();
        const waiting: { sequence: number; era: number }[] = [];
        const released = new Set<number>();
        let nowMs = 0;
        let sequence = 0;
        for (const [one, laterMs] of steps) {
          nowMs += laterMs + 1;
          if (one.do === "send") {
            const era = rule.eraOf("q");
            if (era === undefined) continue;
            sequence += 1;
            sentAtMs.set(sequence, nowMs);
            waiting.push({ sequence, era });
          } else if (one.do === "answer") {
            const next = waiting.shift();
            if (next === undefined) continue;
            answeredAtMs.set(next.sequence, nowMs);
            if (!rule.answered("q", next.era, [task(next.sequence, nowMs)])) againInAll += 1;
          } else {
            const found = one.id === undefined ? undefined : on(one.id);
            const verdict = rule.look("q", found, nowMs, trust);
            looks.push({ atMs: nowMs, id: one.id });
            againInAll += verdict.again.length;
            if (one.id === undefined) expect(verdict).toEqual({ released: [], again: [] });
            for (const { sequence: gone } of verdict.released) {
              expect(released.has(gone)).toBe(false);
              released.add(gone);
              releasedInAll += 1;
              // Old enough, and all looks that could tell since before it was sent found the same; the last one told it.
              expect(answeredAtMs.get(gone)! + trust.afterMs).toBeLessThanOrEqual(nowMs);
              const before = looks.findLastIndex((look) => look.atMs < sentAtMs.get(gone)! && look.id !== undefined);
              const since = looks.slice(before).map(({ id }) => id);
              expect(new Set(since.filter((id) => id !== undefined))).toEqual(new Set([one.id]));
            }
            for (const { sequence: back } of verdict.again) expect(released.has(back)).toBe(false);
          }
        }
        expect(rule.size).toBeLessThanOrEqual(answeredAtMs.size - released.size);
      }),
      { numRuns: 1_000 },
    );
    // Else this would prove nothing.
    expect(releasedInAll).toBeGreaterThan(100);
    expect(againInAll).toBeGreaterThan(100);
  });
});
