import { expect } from "vitest";
import { settled } from "../support/builders.js";
import { describeBroker, idsOf } from "./describe-broker.js";

const yearMs = 365 * 86_400_000;

describeBroker("time is an argument", ({ it }) => {
  it("travels years in a test", async (t) => {
    await t.enqueue([t.task("1", { retentionMs: 5 * yearMs }, { processAtMs: t.at(yearMs) })]);

    expect((await t.promote(yearMs - 1_000)).moved).toBe(0);
    expect((await t.promote(yearMs)).moved).toBe(1);
    const task = await t.leaseOne({ leaseMs: yearMs }, yearMs);
    expect(await t.reclaim(2 * yearMs - 1_000)).toEqual([]);
    await t.settle([settled.completed(task)], 3 * yearMs);
    expect(await t.prune(8 * yearMs - 1_000)).toBe(0);
    expect(await t.prune(8 * yearMs)).toBe(1);
  });

  it("rounds times to come up to whole seconds", async (t) => {
    await t.enqueue([t.task("soon", {}, { processAtMs: t.at(1) }), t.task("later", {}, { processAtMs: t.at(1_001) })]);

    expect((await t.find("soon"))?.dueAtMs).toBe(t.at(1_000));
    expect((await t.find("later"))?.dueAtMs).toBe(t.at(2_000));
  });

  it("rounds now down: a part of a second makes nothing due", async (t) => {
    await t.enqueue([t.task("1", {}, { processAtMs: t.at(2_000) })]);

    expect(await t.promote(1_999)).toEqual({ moved: 0, nextDueMs: t.at(2_000) });
    expect(await t.promote(2_000)).toEqual({ moved: 1, nextDueMs: undefined });
  });

  it("schedules what is for later by the millisecond, and takes at once what is not", async (t) => {
    const receipts = await t.enqueue(
      [
        t.task("later", {}, { processAtMs: t.at(501) }),
        t.task("now", {}, { processAtMs: t.at(500) }),
        t.task("past", {}, { processAtMs: t.at(-3_600_000) }),
      ],
      500,
    );

    expect(receipts.map((receipt) => receipt.status === "enqueued" && receipt.state)).toEqual([
      "scheduled",
      "pending",
      "pending",
    ]);
  });

  it("rounds the end of a lease up, and makes no lease shorter than 5 s", async (t) => {
    await t.enqueue(["1", "2", "3"]);

    const ends = [
      (await t.leaseOne({ leaseMs: 30_000 }, 1)).lease.untilMs,
      (await t.leaseOne({ leaseMs: 1 }, 0)).lease.untilMs,
      (await t.leaseOne({ leaseMs: 5_001 }, 0)).lease.untilMs,
    ];

    expect(ends).toEqual([t.at(31_000), t.at(5_000), t.at(6_000)]);
  });

  it("does not mind a caller whose clock is behind", async (t) => {
    await t.enqueue(["1"], 60_000);

    const task = await t.leaseOne({}, -3_600_000);

    expect(await t.settle([settled.completed(task)], -7_200_000)).toEqual(["settled"]);
    expect(await t.info(-7_200_000)).toMatchObject({ latencyMs: 0, processed: 1 });
  });

  it("tells how long the next task has been waiting", async (t) => {
    await t.enqueue(["1"], 1_000);
    await t.enqueue(["2"], 5_000);
    expect((await t.info(10_000))?.latencyMs).toBe(9_000);

    await t.lease({ limit: 1 }, 10_000);
    expect((await t.info(10_000))?.latencyMs).toBe(5_000);

    const all = await t.lease({}, 10_000);
    expect(idsOf(all)).toEqual(["2"]);
    expect((await t.info(10_000))?.latencyMs).toBe(0);
  });
});
