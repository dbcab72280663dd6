import { expect } from "vitest";
import { settled, withToken } from "../support/builders.js";
import { describeBroker, idsOf } from "./describe-broker.js";

describeBroker("each, not all", ({ it }) => {
  it("takes the good elements of an enqueue beside the bad ones", async (t) => {
    const uniqueKey = `asynq:{${t.queue}}:unique:t:x`;
    const unique = (id: string) => t.task(id, { uniqueKey }, { uniqueForMs: 60_000 });
    await t.enqueue(["taken", unique("holder")]);

    const receipts = await t.enqueue([
      unique("second"),
      "taken",
      "good",
      "good",
      t.task("late", {}, { processAtMs: t.at(5_000) }),
    ]);

    expect(receipts).toEqual([
      { status: "duplicate", id: "holder" },
      { status: "idTaken", id: "taken" },
      { status: "enqueued", id: "good", state: "pending" },
      { status: "idTaken", id: "good" },
      { status: "enqueued", id: "late", state: "scheduled" },
    ]);
    expect(await t.counts()).toEqual({ pending: 3, scheduled: 1 });
    expect(await t.ids("pending")).toEqual(["taken", "holder", "good"]);
  });

  it("settles what is held beside what is lost, and leases all the same", async (t) => {
    await t.enqueue(["1", "2", "3", "4"]);
    const [first, second, third] = await t.lease({ limit: 3 });

    const reply = await t.broker.exchange(
      {
        settle: [settled.completed(withToken(first!, "stolen")), settled.archived(second!), settled.completed(third!)],
        lease: t.request(),
      },
      t.at(1_000),
    );

    expect(reply.settled).toEqual(["leaseLost", "settled", "settled"]);
    expect(idsOf(reply.leased)).toEqual(["4"]);
    expect(await t.counts()).toEqual({ active: 2, archived: 1 });
  });

  it("settles each task of a list once, though it is there twice", async (t) => {
    await t.enqueue(["1"]);
    const task = await t.leaseOne();

    expect(await t.settle([settled.retry(task, t.at(60_000)), settled.completed(task)])).toEqual([
      "settled",
      "leaseLost",
    ]);
    expect(await t.counts()).toEqual({ retry: 1 });
  });

  it("settles before it leases: what is given back can be had in the same turn", async (t) => {
    await t.enqueue(["1", "2"]);
    const task = await t.leaseOne();

    const reply = await t.broker.exchange(
      { settle: [settled.released(task)], lease: t.request({ limit: 1 }) },
      t.at(1_000),
    );

    expect(reply.settled).toEqual(["settled"]);
    expect(idsOf(reply.leased)).toEqual(["1"]);
    expect(reply.leased[0]!.lease.token).not.toBe(task.lease.token);
  });
});
