import { expect } from "vitest";
import { settled } from "../support/builders.js";
import { describeBroker, idsOf, type Trial } from "./describe-broker.js";

const ids = (count: number, prefix = "") =>
  Array.from({ length: count }, (_, n) => `${prefix}${String(n).padStart(4, "0")}`);

/** Two queues with so many tasks each. */
async function twoQueues(t: Trial, each: number, how: Parameters<Trial["task"]>[2] = {}): Promise<string[]> {
  const queues = [t.queueNamed("a"), t.queueNamed("b")];
  await t.enqueue(queues.flatMap((queue) => ids(each).map((id) => t.task(id, { queue, retentionMs: 1_000 }, how))));
  return queues;
}

describeBroker("bounded", ({ it }) => {
  it("leases at most `limit` over all queues together", async (t) => {
    const queues = await twoQueues(t, 5);

    expect(await t.lease({ queues, limit: 7 })).toHaveLength(7);
    expect(await t.lease({ queues, limit: 7 })).toHaveLength(3);
    expect(await t.lease({ queues, limit: 7 })).toHaveLength(0);
  });

  it("leases nothing for a limit of 0", async (t) => {
    await t.enqueue(["1"]);

    expect(await t.lease({ limit: 0 })).toEqual([]);
    expect(await t.counts()).toEqual({ pending: 1 });
  });

  it("promotes at most `limit` over all queues together, the callers call again", async (t) => {
    const queues = await twoQueues(t, 5, { processAtMs: t.at(1_000) });
    const promote = () => t.broker.promote(queues, 4, t.at(1_000));

    expect(await promote()).toEqual({ moved: 4, nextDueMs: t.at(1_000) });
    expect(await promote()).toEqual({ moved: 4, nextDueMs: t.at(1_000) });
    expect(await promote()).toEqual({ moved: 2, nextDueMs: undefined });
  });

  it("reclaims at most `limit` over all queues together", async (t) => {
    const queues = await twoQueues(t, 5);
    await t.lease({ queues, leaseMs: 5_000 });
    const reclaim = async () => (await t.broker.reclaim(queues, 4, t.at(5_000))).length;

    expect([await reclaim(), await reclaim(), await reclaim(), await reclaim()]).toEqual([4, 4, 2, 0]);
  });

  it("prunes at most `limit` over all queues together", async (t) => {
    const queues = await twoQueues(t, 5);
    await t.settle((await t.lease({ queues })).map((task) => settled.completed(task)));
    const prune = () => t.broker.prune(queues, 4, t.at(1_000));

    expect([await prune(), await prune(), await prune(), await prune()]).toEqual([4, 4, 2, 0]);
  });

  it("lists in pages that miss nothing and tell nothing twice", async (t) => {
    await t.enqueue(ids(25));
    await t.enqueue(
      ids(25, "s").map((id, n) => t.task(id, {}, { processAtMs: t.at(60_000 + Math.floor(n / 4) * 1_000) })),
    );

    for (const [state, expected] of [
      ["pending", ids(25)],
      ["scheduled", ids(25, "s")],
    ] as const) {
      const seen: string[] = [];
      let cursor: string | undefined;
      do {
        const page = await t.broker.list({ queue: t.queue, state }, { limit: 10, cursor });
        expect(page.items.length).toBeLessThanOrEqual(10);
        seen.push(...page.items.map(({ id }) => id));
        cursor = page.next;
      } while (cursor !== undefined);
      expect(seen).toEqual(expected);
    }
  });

  it("carries out batches of any size", async (t) => {
    const many = ids(1_200);

    const receipts = await t.enqueue(many);
    const leased = await t.leaseAll();
    const settledAll = await t.settle(
      leased.map((task, n) => (n % 2 === 0 ? settled.completed(task) : settled.released(task))),
    );

    expect(receipts.map(({ id }) => id)).toEqual(many);
    expect(idsOf(leased)).toEqual(many);
    expect(settledAll).toEqual(many.map(() => "settled"));
    expect(await t.counts()).toEqual({ pending: 600 });
    // Also the order of what came back is kept.
    expect(idsOf(await t.leaseAll())).toEqual(many.filter((_, n) => n % 2 === 1));
  });

  it("says of a turn that was cut short that there is more, and of no other", async (t) => {
    const turn = (limit: number) => t.broker.exchange({ settle: [], lease: t.request({ limit }) }, t.at(0));
    expect(await turn(5)).toMatchObject({ leased: [], more: false });
    const many = ids(1_200);
    await t.enqueue(many);

    const seen: string[] = [];
    for (let more = true; more;) {
      const reply = await turn(2_000);
      seen.push(...idsOf(reply.leased));
      ({ more } = reply);
    }

    expect(seen).toEqual(many);
    expect(await turn(2_000)).toMatchObject({ leased: [], more: false });
    expect(await t.broker.exchange({ settle: [] }, t.at(0))).toMatchObject({ settled: [], leased: [], more: false });
  });

  it(
    "keeps every dead letter, however many there are",
    async (t) => {
      const many = ids(5_060);
      await t.enqueue(many);
      for (let second = 0; ; second += 1) {
        const leased = await t.lease({ limit: 500 }, second * 1_000);
        if (leased.length === 0) break;
        await t.settle(
          leased.map((task) => settled.archived(task)),
          second * 1_000,
        );
      }

      expect(await t.counts()).toEqual({ archived: many.length });
      const seen: string[] = [];
      let cursor: string | undefined;
      do {
        const page = await t.broker.list({ queue: t.queue, state: "archived" }, { limit: 500, cursor });
        seen.push(...page.items.map(({ id }) => id));
        cursor = page.next;
      } while (cursor !== undefined);
      expect(seen).toEqual(many);
      expect(await t.find(many[0]!)).toMatchObject({ state: "archived", archivedAtMs: t.at(0) });
    },
    { timeoutMs: 60_000 },
  );
});
