import fc from "fast-check";
import { expect } from "vitest";
import type { StoredLetter } from "../../src/broker/stored-letter.js";
import { settled } from "../support/builders.js";
import { seed } from "../support/seed.js";
import { by, describeBroker, type Trial } from "./describe-broker.js";

/** Where a task may be after any of these acts. */
type Place = "archived" | "pending" | "trash" | "gone";
const acts = ["discard", "restore", "purge", "run", "fail", "acknowledge", "copy", "prune", "adopt"] as const;
type Step = { readonly act: (typeof acts)[number]; readonly ids: readonly string[] };

const ids = ["a", "b", "c", "d"];
const step: fc.Arbitrary<Step> = fc.record({
  act: fc.constantFrom(...acts),
  ids: fc.uniqueArray(fc.constantFrom(...ids), { minLength: 1, maxLength: 3 }),
});
const keepMs = 3_600_000;

/** What each act says it does, and nothing else. */
class Expected {
  readonly places = new Map<string, Place>(ids.map((id) => [id, "archived"]));

  move(some: readonly string[], from: Place, to: Place): string[] {
    const moved = some.filter((id) => this.places.get(id) === from);
    for (const id of moved) this.places.set(id, to);
    return moved;
  }
}

async function carryOut(
  t: Trial,
  known: Expected,
  letters: ReadonlyMap<string, StoredLetter>,
  { act, ids: some }: Step,
) {
  const store = t.broker.deadLetters!;
  const nowMs = t.at(0);
  switch (act) {
    case "discard":
      known.move(some, "archived", "trash");
      return store.discard(t.queue, some, nowMs + keepMs, by, nowMs);
    case "restore":
      known.move(some, "trash", "archived");
      return store.restore(t.queue, some, by, nowMs);
    case "purge":
      known.move(some, "trash", "gone");
      return store.purge(t.queue, some, by, nowMs);
    case "run":
      for (const id of known.move(some, "archived", "pending")) await t.move([id], "pending");
      return;
    case "fail":
      known.move(ids, "pending", "archived");
      return t.settle((await t.leaseAll()).map((task) => settled.archived(task)));
    case "acknowledge":
      return store.acknowledge(t.queue, some, some.length > 1, by, nowMs);
    case "copy":
      await store.beginCopy({ queue: t.queue, id: some[0]! }, { queue: t.queue, id: "copy", digest: "" }, by, nowMs);
      return store.endCopy({ queue: t.queue, id: some[0]! }, some.length > 1, by, nowMs);
    case "prune":
      return t.broker.prune([t.queue], 100, nowMs);
    case "adopt":
      known.move(some, "gone", "archived");
      return store.adoptLetters(
        some.map((id) => letters.get(id)!),
        by,
        nowMs,
      );
  }
}

async function placesOf(t: Trial): Promise<Map<string, Place>> {
  const trash = (await t.broker.deadLetters!.listTrash(t.queue, { limit: 100 })).items.map(({ task }) => task.id);
  const found = await t.broker.find(ids.map((id) => ({ queue: t.queue, id })));
  return new Map(
    ids.map((id, n) => {
      const places = [...(found[n] === undefined ? [] : [found[n].state]), ...(trash.includes(id) ? ["trash"] : [])];
      return [id, (places.length === 0 ? "gone" : places.join(" and ")) as Place];
    }),
  );
}

describeBroker("acts on dead letters", ({ it }) => {
  it("in whatever order leave each in one place, whole, and none is lost unless it was purged", async (t) => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 25 }), async (steps) => {
        const one = t.elsewhere();
        await one.enqueue(ids.map((id) => one.task(id, { payload: Buffer.from(`of ${id}`), maxRetry: 0 })));
        await one.settle((await one.leaseAll()).map((task) => settled.archived(task)));
        const stored = await one.broker.deadLetters!.readLetters(ids.map((id) => ({ queue: one.queue, id })));
        const letters = new Map(stored.map((letter) => [letter!.id, letter!]));
        const known = new Expected();

        for (const next of steps) await carryOut(one, known, letters, next);

        expect(await placesOf(one)).toEqual(known.places);
        const count = (place: Place) => [...known.places.values()].filter((is) => is === place).length;
        const { archived, pending } = { archived: 0, pending: 0, ...(await one.counts()) };
        expect({ archived, pending }).toEqual({ archived: count("archived"), pending: count("pending") });
        await one.broker.deadLetters!.restore(one.queue, ids, by, one.at(0));
        for (const task of await one.broker.find(ids.map((id) => ({ queue: one.queue, id })))) {
          if (task !== undefined) expect(String(Buffer.from(task.message!.payload))).toBe(`of ${task.id}`);
        }
      }),
      { seed, numRuns: 12 },
    );
  });
});
