import { expect } from "vitest";
import { settled } from "../support/builders.js";
import { describeBroker, idsOf } from "./describe-broker.js";

// No test in this folder subscribes to anything: whatever happens to a task is found by asking again.
describeBroker("waking is a hint", ({ it }) => {
  it(
    "gives a worker that only asks what another broker put there",
    async (t) => {
      const producer = t.another();
      expect(await t.lease()).toEqual([]);

      await producer.enqueue([t.task("1")], t.at(0));

      expect(idsOf(await t.lease())).toEqual(["1"]);
    },
    { needs: "shared" },
  );

  it("gives a worker that only asks what fell due, came back or was left behind", async (t) => {
    await t.enqueue([t.task("due", {}, { processAtMs: t.at(1_000) })]);
    await t.promote(1_000);
    const due = await t.leaseOne({ leaseMs: 5_000 }, 1_000);
    await t.settle([settled.retry(due, t.at(2_000))], 1_000);
    await t.promote(2_000);
    const again = await t.leaseOne({ leaseMs: 5_000 }, 2_000);
    await t.settle([settled.released(again)], 2_000);
    await t.leaseOne({ leaseMs: 5_000 }, 2_000);
    await t.reclaim(8_000);

    expect(idsOf(await t.lease({}, 8_000))).toEqual(["due"]);
  });

  it("says when to ask again", async (t) => {
    await t.enqueue([
      t.task("far", {}, { processAtMs: t.at(90_000) }),
      t.task("near", {}, { processAtMs: t.at(30_000) }),
      "now",
    ]);
    await t.settle([settled.retry(await t.leaseOne(), t.at(50_000))]);

    expect(await t.promote(0)).toEqual({ moved: 0, nextDueMs: t.at(30_000) });
    expect(await t.promote(30_000)).toEqual({ moved: 1, nextDueMs: t.at(50_000) });
    expect(await t.promote(50_000)).toEqual({ moved: 1, nextDueMs: t.at(90_000) });
    expect(await t.promote(90_000)).toEqual({ moved: 1, nextDueMs: undefined });
  });
});
