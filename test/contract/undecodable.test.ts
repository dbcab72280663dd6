import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { expect } from "vitest";
import { encodeMessage } from "../../src/core/codec.js";
import { message, settled } from "../support/builders.js";
import { describeBroker, idsOf } from "./describe-broker.js";

const damaged: readonly (readonly [what: string, bytes: Uint8Array])[] = [
  ["no protobuf at all", Buffer.from("ff", "hex")],
  ["text that is not UTF-8", Buffer.from("0a02c328", "hex")],
  ["a length beyond the end", Buffer.from("12ffffffff07", "hex")],
  ["a message cut short", encodeMessage(message({ payload: Buffer.from("payload") })).subarray(0, 16)],
];

describeBroker("messages that cannot be decoded", ({ it }) => {
  for (const [what, bytes] of damaged) {
    it(
      `are set aside with their bytes, and spoil nothing for their neighbours: ${what}`,
      async (t) => {
        const told: unknown[] = [];
        const listener = (event: unknown) => told.push(event);
        subscribe("holdfast.broker", listener);
        await t.enqueue(["1", "bad", "2"]);
        await t.storage.damage({ queue: t.queue, id: "bad" }, bytes);

        const leased = await t.lease();

        unsubscribe("holdfast.broker", listener);
        expect(idsOf(leased)).toEqual(["1", "2"]);
        const info = await t.find("bad");
        expect(info).toMatchObject({
          state: "archived",
          message: undefined,
          archivedAtMs: t.at(0),
          failure: { reason: "decode_error", message: expect.stringMatching(/cannot be decoded/) },
        });
        expect(Buffer.from(info!.bytes).toString("hex")).toBe(Buffer.from(bytes).toString("hex"));
        expect(told).toContainEqual(expect.objectContaining({ event: "setAside", queue: t.queue, id: "bad" }));
        expect(await t.settle(leased.map((task) => settled.completed(task)))).toEqual(["settled", "settled"]);
        expect(await t.counts()).toEqual({ archived: 1 });
      },
      { needs: "damage" },
    );
  }

  it(
    "do not hide what is behind them: there is more",
    async (t) => {
      await t.enqueue(["bad", "worse", "1", "2"]);
      for (const id of ["bad", "worse"]) await t.storage.damage({ queue: t.queue, id }, damaged[0]![1]);

      const seen: string[] = [];
      let more = true;
      while (more) {
        const reply = await t.broker.exchange({ settle: [], lease: t.request({ limit: 2 - seen.length }) }, t.at(0));
        seen.push(...idsOf(reply.leased));
        ({ more } = reply);
      }

      expect(seen).toEqual(["1", "2"]);
      expect(await t.counts()).toEqual({ active: 2, archived: 2 });
    },
    { needs: "damage" },
  );

  it(
    "are told as they are when one looks, wherever they are",
    async (t) => {
      await t.enqueue(["1", t.task("2", {}, { processAtMs: t.at(60_000) })]);
      for (const id of ["1", "2"]) await t.storage.damage({ queue: t.queue, id }, damaged[0]![1]);

      expect(await t.find("2")).toMatchObject({ id: "2", queue: t.queue, state: "scheduled", message: undefined });
      const { items } = await t.broker.list({ queue: t.queue, state: "pending" }, { limit: 10 });
      expect(items).toMatchObject([{ id: "1", state: "pending", message: undefined }]);
      expect(items[0]!.bytes).toHaveLength(1);
    },
    { needs: "damage" },
  );

  it(
    "keep their bytes when their worker dies and they must not start again: one that was cut short",
    async (t) => {
      const [, , , [, cut]] = damaged as readonly [unknown, unknown, unknown, readonly [string, Uint8Array]];
      await t.enqueue([t.task("bad", {}, { atMostOnce: true })]);
      await t.lease({ leaseMs: 5_000 });
      await t.storage.damage({ queue: t.queue, id: "bad" }, cut);

      await t.reclaim(6_000);

      const info = await t.find("bad");
      expect(info).toMatchObject({ state: "archived", message: undefined, failure: { reason: "lease_expired" } });
      expect(Buffer.from(info!.bytes).toString("hex")).toBe(Buffer.from(cut).toString("hex"));
    },
    { needs: "damage" },
  );

  it(
    "do not stop the tasks of a dead worker from coming back",
    async (t) => {
      await t.enqueue(["1", "bad", "2"]);
      await t.lease({ leaseMs: 5_000 });
      await t.storage.damage({ queue: t.queue, id: "bad" }, damaged[1]![1]);

      const receipts = await t.reclaim(6_000);

      expect(receipts.map(({ id }) => id).toSorted((a, b) => a.localeCompare(b))).toEqual(["1", "2", "bad"]);
      expect(idsOf(await t.lease({ suspects: 10 }, 6_000))).toEqual(["1", "2"]);
      expect(await t.stateOf("bad")).toBe("archived");
    },
    { needs: "damage" },
  );

  it(
    "do not stop a quarantine either",
    async (t) => {
      await t.enqueue([t.task("bad", {}, { atMostOnce: true })]);
      await t.lease({ leaseMs: 5_000 });
      await t.storage.damage({ queue: t.queue, id: "bad" }, damaged[1]![1]);

      expect(await t.reclaim(6_000)).toMatchObject([{ id: "bad", to: "archived" }]);
      expect(await t.find("bad")).toMatchObject({ state: "archived", failure: { reason: "lease_expired" } });
    },
    { needs: "damage" },
  );

  it(
    "can be promoted and are set aside then",
    async (t) => {
      await t.enqueue([t.task("bad", {}, { processAtMs: t.at(1_000) }), t.task("1", {}, { processAtMs: t.at(1_000) })]);
      await t.storage.damage({ queue: t.queue, id: "bad" }, damaged[2]![1]);

      expect((await t.promote(1_000)).moved).toBe(2);
      expect(idsOf(await t.lease({}, 1_000))).toEqual(["1"]);
      expect(await t.stateOf("bad")).toBe("archived");
    },
    { needs: "damage" },
  );
});
