import { expect } from "vitest";
import { settled } from "../support/builders.js";
import { by, describeBroker, type Trial } from "./describe-broker.js";

const day = 86_400_000;

async function die(t: Trial, ids: readonly string[], ms: number): Promise<void> {
  await t.enqueue(ids, ms);
  await t.settle(
    (await t.leaseAll({}, ms)).map((task) => settled.archived(task)),
    ms,
  );
}
const oldest = async (t: Trial, limit: number, place?: string) =>
  (await t.broker.deadLetters!.oldestUnacknowledged([{ queue: t.queue, place }], limit))[0]!;
const acknowledge = async (t: Trial, ids: readonly string[], on = true) =>
  t.broker.deadLetters!.acknowledge(t.queue, ids, on, by, t.at(0));

describeBroker("the oldest dead letter that nobody has acknowledged", ({ it }) => {
  it("is found behind those that somebody has, a bounded number at a time", async (t) => {
    // So old that it is moved out of the reach of Go programs.
    await die(t, ["first"], -100 * day);
    for (const [n, id] of ["a", "b", "c", "d"].entries()) await die(t, [id], -60_000 + n * 1_000);
    expect(await oldest(t, 2)).toMatchObject({ atMs: t.at(-100 * day), count: 5, more: false });

    await acknowledge(t, ["first", "a", "b", "c"]);
    const begun = await oldest(t, 2);
    expect(begun).toMatchObject({ atMs: undefined, more: true });
    expect(begun.count).toBeLessThan(4);
    let found = begun;
    for (let steps = 0; found.more && steps < 2; steps += 1) found = await oldest(t, 2, found.place);
    expect(found).toMatchObject({ atMs: t.at(-57_000), count: 1, more: false });
    expect(await oldest(t, 1, found.place)).toEqual(found);
    await acknowledge(t, ["d"]);
    const none = await oldest(t, 2, found.place);
    expect(none).toMatchObject({ atMs: undefined, count: 0, more: false });

    await die(t, ["e"], -50_000);
    expect(await oldest(t, 2, none.place)).toMatchObject({ atMs: t.at(-50_000), count: 1, more: false });
    await acknowledge(t, ["b"], false);
    // Those behind it count, too, whatever was said of them.
    expect(await oldest(t, 10)).toMatchObject({ atMs: t.at(-59_000), count: 4, more: false });
  });

  it("is found where the place is gone, or has died anew", async (t) => {
    await die(t, ["a", "b"], -60_000);
    await die(t, ["c"], -50_000);
    await acknowledge(t, ["a", "b"]);
    const { place } = await oldest(t, 10);

    await t.move(["b"], "deleted");
    expect(await oldest(t, 10, place)).toMatchObject({ atMs: t.at(-50_000), more: false });
    await t.move(["a", "c"], "pending");
    await t.settle(
      (await t.leaseAll({}, 5_000)).map((task) => settled.archived(task)),
      5_000,
    );
    // What was said of it was said of its former death.
    expect(await oldest(t, 10, place)).toMatchObject({ atMs: t.at(5_000), more: false });
  });

  it("is none in a queue that there is not", async (t) => {
    const [nothing] = await t.broker.deadLetters!.oldestUnacknowledged([{ queue: t.queueNamed("none") }], 10);
    expect(nothing).toMatchObject({ atMs: undefined, count: 0, more: false });
    expect(await t.broker.deadLetters!.oldestUnacknowledged([], 10)).toEqual([]);
  });
});
