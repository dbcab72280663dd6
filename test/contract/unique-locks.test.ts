import { expect } from "vitest";
import { uniqueKey } from "../../src/core/message.js";
import { settled } from "../support/builders.js";
import { until } from "../support/until.js";
import { describeBroker, type Trial } from "./describe-broker.js";

/** A task that wants the lock of this test's queue. */
const unique = (
  t: Trial,
  id: string,
  fields: Parameters<Trial["task"]>[1] = {},
  how: Parameters<Trial["task"]>[2] = {},
) => t.task(id, { uniqueKey: uniqueKey(t.queue, "test:plain", null), ...fields }, { uniqueForMs: 3_600_000, ...how });

const duplicate = (holder: string) => [{ status: "duplicate", id: holder }];
const pending = (id: string) => [{ status: "enqueued", id, state: "pending" }];

describeBroker("unique locks", ({ it }) => {
  it("takes one of many that come at once, and names the holder to the others", async (t) => {
    const receipts = (await Promise.all(Array.from({ length: 20 }, (_, n) => t.enqueue([unique(t, `${n}`)])))).flat();

    const [winner, ...more] = receipts.filter(({ status }) => status === "enqueued");
    expect(more).toEqual([]);
    expect(receipts.filter((receipt) => receipt !== winner)).toEqual(
      Array.from({ length: 19 }, () => duplicate(winner!.id)[0]),
    );
    expect(await t.counts()).toEqual({ pending: 1 });
  });

  it("does not keep different locks apart from each other's tasks", async (t) => {
    const other = { uniqueKey: uniqueKey(t.queue, "test:other", null) };

    expect(await t.enqueue([unique(t, "1"), unique(t, "2", other), "3", unique(t, "4")])).toEqual([
      ...pending("1"),
      ...pending("2"),
      ...pending("3"),
      ...duplicate("1"),
    ]);
  });

  it("holds while the task waits, runs and is tried again, and until the lock runs out when it is a dead letter", async (t) => {
    await t.enqueue([unique(t, "1", {}, { processAtMs: t.at(1_000) })]);
    expect(await t.enqueue([unique(t, "2")])).toEqual(duplicate("1"));

    await t.promote(1_000);
    const task = await t.leaseOne({}, 1_000);
    expect(await t.enqueue([unique(t, "2")], 1_000)).toEqual(duplicate("1"));

    await t.settle([settled.retry(task, t.at(2_000))], 1_000);
    expect(await t.enqueue([unique(t, "2")], 1_000)).toEqual(duplicate("1"));

    await t.promote(2_000);
    await t.settle([settled.released(await t.leaseOne({}, 2_000))], 2_000);
    expect(await t.enqueue([unique(t, "2")], 2_000)).toEqual(duplicate("1"));

    await t.settle([settled.archived(await t.leaseOne({}, 2_000))], 2_000);
    expect(await t.enqueue([unique(t, "2")], 2_000)).toEqual(duplicate("1"));
  });

  for (const [how, retentionMs] of [
    ["deleted", 0],
    ["kept", 60_000],
  ] as const) {
    it(`is given back when the task is completed and ${how}`, async (t) => {
      await t.enqueue([unique(t, "1", { retentionMs })]);
      await t.settle([settled.completed(await t.leaseOne())]);

      expect(await t.enqueue([unique(t, "2")])).toEqual(pending("2"));
    });
  }

  it("is given back when the task is revoked", async (t) => {
    await t.enqueue([unique(t, "1")]);
    await t.settle([settled.revoked(await t.leaseOne())]);

    expect(await t.enqueue([unique(t, "2")])).toEqual(pending("2"));
  });

  it("is given back by its holder alone: a lock that ran out may be another's now", async (t) => {
    await t.enqueue([unique(t, "1", {}, { uniqueForMs: 1_000 })]);
    const task = await t.leaseOne();
    const startMs = performance.now();
    // The one thing that no engine decides by nowMs alone: on Redis asynq's lock is a TTL.
    await until("the lock has run out", async () => {
      const [receipt] = await t.enqueue([unique(t, "2")], 1_000 + Math.ceil(performance.now() - startMs));
      return receipt!.status === "enqueued";
    });

    await t.settle([settled.completed(task)], 5_000);

    expect(await t.enqueue([unique(t, "3")], 5_000)).toEqual(duplicate("2"));
  });

  it("is not taken for a task whose id is taken", async (t) => {
    await t.enqueue(["1"]);

    expect(await t.enqueue([unique(t, "1")])).toEqual([{ status: "idTaken", id: "1" }]);
    expect(await t.enqueue([unique(t, "2")])).toEqual(pending("2"));
  });

  it("is looked at before the id, as asynq does", async (t) => {
    await t.enqueue([unique(t, "1")]);

    expect(await t.enqueue([unique(t, "1")])).toEqual(duplicate("1"));
  });

  it("outlives the crash of a worker", async (t) => {
    await t.enqueue([unique(t, "1")]);
    await t.lease({ leaseMs: 5_000 });
    await t.reclaim(5_000);

    expect(await t.enqueue([unique(t, "2")], 5_000)).toEqual(duplicate("1"));
    await t.settle([settled.completed(await t.leaseOne({}, 5_000))], 5_000);
    expect(await t.enqueue([unique(t, "2")], 5_000)).toEqual(pending("2"));
  });
});
