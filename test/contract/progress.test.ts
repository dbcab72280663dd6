import { expect } from "vitest";
import { settled, withToken } from "../support/builders.js";
import { describeBroker, type Trial } from "./describe-broker.js";

const json = (value: unknown) => Buffer.from(JSON.stringify(value));
const progressOf = async (t: Trial, id: string) => (await t.find(id))?.progress;

describeBroker("progress", ({ it }) => {
  it("is seen while the task runs, the last of each, whether found or listed", async (t) => {
    const other = t.elsewhere();
    await t.enqueue(["1", "2"]);
    await other.enqueue(["1"]);
    const [one, two] = await t.lease();
    const theirs = await other.leaseOne();

    await t.broker.report([
      { lease: one!.lease, bytes: json({ done: 1, of: 7 }) },
      { lease: theirs.lease, bytes: json("half") },
      { lease: two!.lease, bytes: json(0) },
    ]);
    await t.broker.report([{ lease: one!.lease, bytes: json({ done: 2, of: 7 }) }]);

    expect([await progressOf(t, "1"), await progressOf(t, "2"), await progressOf(other, "1")]).toEqual([
      { done: 2, of: 7 },
      0,
      "half",
    ]);
    const { items } = await t.broker.list({ queue: t.queue, state: "active" }, { limit: 10 });
    expect(items.map(({ progress }) => progress)).toEqual([{ done: 2, of: 7 }, 0]);
  });

  it("ends with the attempt, however that ends", async (t) => {
    await t.enqueue(["retried", "archived", "released", "crashed", t.task("completed", { retentionMs: 60_000 })]);
    const [retried, archived, released, , completed] = await t.lease({ leaseMs: 5_000 });
    const all = await t.broker.list({ queue: t.queue, state: "active" }, { limit: 10 });
    expect(all.items).toHaveLength(5);
    for (const task of [retried, archived, released, completed]) {
      await t.broker.report([{ lease: task!.lease, bytes: json("far") }]);
    }

    await t.settle([
      settled.retry(retried!, t.at(1_000)),
      settled.archived(archived!),
      settled.released(released!),
      settled.completed(completed!),
    ]);
    await t.reclaim(40_000);
    await t.promote(40_000);

    const ids = ["retried", "archived", "released", "crashed", "completed"];
    expect(await Promise.all(ids.map((id) => progressOf(t, id)))).toEqual(ids.map(() => undefined));
    await t.lease({}, 40_000);
    expect(await Promise.all(ids.map((id) => progressOf(t, id)))).toEqual(ids.map(() => undefined));
  });

  it("is not written by one who does not hold the lease any more, nor for a task that is gone", async (t) => {
    await t.enqueue(["1", "2"]);
    const [one, two] = await t.lease();
    await t.settle([settled.completed(two!)]);

    await t.broker.report([
      { lease: withToken(one!, "an earlier one").lease, bytes: json("late") },
      { lease: two!.lease, bytes: json("gone") },
    ]);

    expect(await progressOf(t, "1")).toBeUndefined();
    expect(await t.find("2")).toBeUndefined();
    await t.broker.report([]);
  });
});
