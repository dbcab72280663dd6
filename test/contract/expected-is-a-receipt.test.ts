import { expect } from "vitest";
import { settled } from "../support/builders.js";
import { describeBroker, states } from "./describe-broker.js";

describeBroker("expected is a receipt", ({ it }) => {
  it("takes an unknown queue for an empty one", async (t) => {
    const nowhere = t.queueNamed("nowhere");

    expect(await t.lease({ queues: [nowhere] })).toEqual([]);
    expect(await t.broker.reclaim([nowhere], 10, t.at(0))).toEqual([]);
    expect(await t.broker.promote([nowhere], 10, t.at(0))).toEqual({ moved: 0, nextDueMs: undefined });
    expect(await t.broker.prune([nowhere], 10, t.at(0))).toBe(0);
    expect(await t.broker.find([{ queue: nowhere, id: "1" }])).toEqual([undefined]);
    for (const state of states) {
      expect(await t.broker.list({ queue: nowhere, state }, { limit: 10 })).toEqual({ items: [], next: undefined });
    }
    expect(await t.info(0, nowhere)).toBeUndefined();
  });

  it("answers ping, as often as it is asked", async (t) => {
    await Promise.all([t.broker.ping(), t.broker.ping()]);
    await t.broker.ping();

    expect(t.broker.label).not.toBe("");
  });

  it("keeps a clock that tells about the time", async (t) => {
    await t.broker.ping();

    expect(Math.abs(t.broker.clock.nowMs() - Date.now())).toBeLessThan(2_000);
  });

  it(
    "throws CLOSED after close, from every verb, and may be closed again",
    async (t) => {
      await t.enqueue(["1"]);
      const task = await t.leaseOne();
      const keeper = t.broker.keeper({ leaseMs: 5_000, onLost: () => {}, onError: () => {} });
      await keeper.close();

      await t.broker.close();

      const calls = [
        () => t.broker.ping(),
        () => t.enqueue(["2"]),
        () => t.settle([settled.completed(task)]),
        () => t.lease(),
        () => t.reclaim(0),
        () => t.promote(0),
        () => t.prune(0),
        () => t.broker.queues(t.at(0)),
        () => t.find("1"),
        () => t.ids("pending"),
      ];
      for (const call of calls) await expect(call()).rejects.toMatchObject({ name: "HoldfastError", code: "CLOSED" });
      await t.broker.close();
    },
    { closes: true },
  );

  it(
    "finishes what is under way when it is closed",
    async (t) => {
      const underWay = Array.from({ length: 20 }, (_, n) => t.enqueue([`${n}`]));

      const closed = t.broker.close();

      const receipts = (await Promise.all(underWay)).flat();
      await closed;
      expect(receipts.map(({ status }) => status)).toEqual(underWay.map(() => "enqueued"));
    },
    { closes: true },
  );

  it("can be closed before it was ever used", async (t) => {
    await t.another().close();
  });

  it(
    "is there for other brokers on the same storage after one is closed",
    async (t) => {
      const other = t.another();
      await t.enqueue(["1"]);
      await other.ping();

      await t.broker.close();

      expect(await other.find([{ queue: t.queue, id: "1" }])).toMatchObject([{ state: "pending" }]);
    },
    { needs: "shared", closes: true },
  );
});
