import { expect } from "vitest";
import { settled } from "../support/builders.js";
import { describeBroker, idsOf } from "./describe-broker.js";

describeBroker("a paused queue", ({ it }) => {
  it(
    "is leased from no more, and all else goes on",
    async (t) => {
      await t.enqueue(["1", "2", t.task("later", {}, { processAtMs: t.at(1_000) })]);
      const [running, dying] = await t.lease({ leaseMs: 5_000 });
      await t.storage.pause(t.queue);

      await t.enqueue(["3"]);
      expect((await t.promote(1_000)).moved).toBe(1);
      expect(await t.settle([settled.retry(running!, t.at(2_000))], 1_000)).toEqual(["settled"]);
      expect(await t.reclaim(6_000)).toMatchObject([{ id: dying!.lease.id, to: "pending" }]);
      const turn = { settle: [], lease: t.request() };
      expect(await t.broker.exchange(turn, t.at(6_000))).toMatchObject({ leased: [], more: false, paused: [t.queue] });
      expect(await t.info(6_000)).toMatchObject({ paused: true, counts: { pending: 3, retry: 1 } });
    },
    { needs: "pause" },
  );

  it(
    "leaves other queues of the same request alone",
    async (t) => {
      const open = t.queueNamed("open");
      await t.enqueue(["1", t.task("2", { queue: open })]);
      await t.storage.pause(t.queue);

      expect(idsOf(await t.lease({ queues: [t.queue, open] }))).toEqual(["2"]);
      expect((await t.info(0, open))?.paused).toBe(false);
    },
    { needs: "pause" },
  );

  it(
    "gives a lost reply again: those tasks are leased already",
    async (t) => {
      await t.enqueue(["1"]);
      const request = t.request();
      await t.lease(request);
      await t.storage.pause(t.queue);

      expect(idsOf(await t.lease(request))).toEqual(["1"]);
    },
    { needs: "pause" },
  );
});
