import fc from "fast-check";

/** Few, so that what is done meets what was done. */
const ids = Array.from({ length: 8 }, (_, n) => `t${n}`);
const letter = fc.constantFrom(...ids);
const redriving = fc.record({
  act: fc.constant("redrive" as const),
  away: fc.boolean(),
  failing: fc.subarray(ids),
  quarantined: fc.option(letter),
  death: fc.option(
    fc.record({ nth: fc.integer({ min: 1, max: 14 }), when: fc.constantFrom("before", "after", "late") }),
  ),
  cancelAt: fc.option(fc.nat({ max: 4 }), { freq: 4 }),
  meddling: fc.option(
    fc.record({ at: fc.nat({ max: 3 }), how: fc.constantFrom("delete", "run", "discard"), id: letter }),
  ),
});
const ruling = fc.record({
  act: fc.constant("rule" as const),
  does: fc.constantFrom("run", "route", "route", "discard"),
  failing: fc.subarray(ids),
  death: fc.option(fc.record({ nth: fc.integer({ min: 1, max: 7 }), when: fc.constantFrom("before", "after") })),
});
const command = fc.oneof(
  { weight: 8, arbitrary: fc.record({ act: fc.constant("die" as const), id: letter }) },
  {
    weight: 3,
    arbitrary: fc.record({
      act: fc.constantFrom("run", "fail again", "discard", "restore", "purge", "delete"),
      id: letter,
    }),
  },
  { weight: 1, arbitrary: fc.record({ act: fc.constant("trash ends" as const) }) },
  { weight: 1, arbitrary: fc.record({ act: fc.constant("the other queue is emptied" as const) }) },
  {
    weight: 5,
    arbitrary: fc.record({
      act: fc.constant("edit" as const),
      id: letter,
      fails: fc.boolean(),
      death: fc.option(fc.record({ nth: fc.integer({ min: 1, max: 3 }), when: fc.constantFrom("before", "after") })),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      act: fc.constantFrom("drop", "spill"),
      keepMost: fc.nat({ max: 2 }),
      crash: fc.constantFrom(undefined, "before", "after"),
    }),
  },
  { weight: 1, arbitrary: fc.record({ act: fc.constantFrom("spill by hand"), id: letter }) },
  { weight: 1, arbitrary: fc.record({ act: fc.constantFrom("import" as const) }) },
  {
    weight: 5,
    arbitrary: redriving,
  },
  {
    weight: 4,
    arbitrary: ruling,
  },
  {
    weight: 4,
    arbitrary: fc.record({
      act: fc.constantFrom("go deletes", "go runs", "go archives"),
      id: letter,
      failing: fc.subarray(ids),
      keepMost: fc.integer({ min: 1, max: 4 }),
    }),
  },
);
export type Command = typeof command extends fc.Arbitrary<infer C> ? C : never;
export const sequence = fc.array(command, { minLength: 16, maxLength: 28 });
export const dead = ids.slice(0, 5).map((id): Command => ({ act: "die", id }));
const at = (max: number) => fc.record({ nth: fc.integer({ min: 1, max }), when: fc.constant("after" as const) });
const alone = { cancelAt: null, meddling: null, quarantined: null };
/** Between that the other queue has some, and that they leave theirs. */
const between = { nth: 1, when: "after" as const, verb: "enqueue" };
/** How sequences begin, by turns: by chance alone some would interrupt nothing, and prove nothing. */
export const beginning = fc
  .tuple(redriving, at(10), redriving, ruling, at(4), ruling, at(3))
  .map(([redrive, inRedrive, away, rule, inRule, route, inEdit]): Command[][] => [
    [{ ...away, ...alone, away: true, death: between }, ...dead, { ...route, does: "route", death: between }],
    [{ ...redrive, ...alone, away: false, death: inRedrive }, ...dead, { act: "spill", keepMost: 1, crash: "after" }],
    [
      { act: "edit", id: "t0", fails: true, death: inEdit },
      { ...rule, does: "run", death: inRule },
    ],
  ]);
export type Trimming = Extract<Command, { act: "drop" | "spill" }>;

/** At the n-th of its writes, or of those of a verb. */
export interface Death {
  readonly nth: number;
  readonly when: string;
  readonly verb?: string;
}

/** What a plain person would expect of each task that ever died. */
export class Model {
  /** In the order in which they died. */
  archived: string[] = [];
  /** In the other queue. */
  readonly there = new Set<string>();
  readonly trash = new Set<string>();
  readonly files = new Set<string>();
  readonly dropped = new Map<string, number>();
  readonly finished = new Set<string>();

  die(id: string) {
    this.archived = [...this.archived.filter((one) => one !== id), id];
  }
  leave(id: string) {
    this.archived = this.archived.filter((one) => one !== id);
  }
}
