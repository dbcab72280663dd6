import { expect } from "vitest";
import { settled } from "../support/builders.js";
import { describeBroker, idsOf, type Trial } from "./describe-broker.js";

/** A task whose worker has died once: the first of the line. */
async function suspect(t: Trial, id: string): Promise<void> {
  await t.enqueue([id]);
  await t.leaseOne({ leaseMs: 5_000 });
  expect(await t.reclaim(6_000)).toMatchObject([{ id, to: "pending" }]);
}

describeBroker("leasing ahead", ({ it }) => {
  it("gives plain tasks beyond those that start at once", async (t) => {
    await t.enqueue(["a", "b", "c", "d"]);
    expect(idsOf(await t.lease({ limit: 3, startable: 1 }))).toEqual(["a", "b", "c"]);
  });

  it("ends before a task that must not be started twice, which then comes first", async (t) => {
    await t.enqueue(["a", t.task("once", {}, { atMostOnce: true }), "c"]);
    expect(idsOf(await t.lease({ limit: 3, startable: 1 }))).toEqual(["a"]);
    expect(await t.lease({ limit: 3, startable: 0 })).toEqual([]);
    expect(idsOf(await t.lease({ limit: 3, startable: 1 }))).toEqual(["once", "c"]);
  });

  it("leaves other queues alone, too, while such a task waits for a slot", async (t) => {
    const other = t.queueNamed("other");
    await t.enqueue([
      t.task("once", {}, { atMostOnce: true }),
      t.task("x", { queue: other }),
      t.task("y", { queue: other }),
    ]);
    const queues = [t.queue, other];
    expect(await t.lease({ queues, limit: 2, startable: 0 })).toEqual([]);
    expect(idsOf(await t.lease({ queues, limit: 3, startable: 1 }))).toEqual(["once", "x", "y"]);
  });

  it("has no crash suspect among those that wait, and none that wait beside one", async (t) => {
    await suspect(t, "s");
    await t.enqueue(["a", "b", "c"]);
    expect(await t.lease({ limit: 3, startable: 0 }, 6_000)).toEqual([]);
    expect(idsOf(await t.lease({ limit: 3, startable: 2 }, 6_000))).toEqual(["s", "a"]);
  });

  it("passes suspects by when none is asked for, and goes on ahead", async (t) => {
    await suspect(t, "s");
    await t.enqueue(["a", "b"]);
    expect(idsOf(await t.lease({ limit: 3, startable: 1, suspects: 0 }, 6_000))).toEqual(["a", "b"]);
  });

  it("puts what never started back in front, in order, and counts no return", async (t) => {
    await t.enqueue(["a", "b", "c", "d"]);
    const leased = await t.lease({ limit: 3, startable: 1 });
    const unstarted = leased.slice(1).map((task) => ({
      task,
      outcome: { kind: "released", unstarted: true } as const,
    }));
    expect(await t.settle([settled.released(leased[0]!), ...unstarted])).toEqual(["settled", "settled", "settled"]);
    const again = await t.lease();
    expect(again.map(({ lease, returns }) => [lease.id, returns])).toEqual([
      ["a", 1],
      ["b", 0],
      ["c", 0],
      ["d", 0],
    ]);
  });

  it("gives at most so many of a queue, and goes on with the next", async (t) => {
    const other = t.queueNamed("other");
    await t.enqueue(["a", "b", "c", t.task("x", { queue: other }), t.task("y", { queue: other })]);
    const queues = [t.queue, other];
    expect(idsOf(await t.lease({ queues, limits: { [t.queue]: 1 } }))).toEqual(["a", "x", "y"]);
    expect(await t.lease({ queues, limits: { [t.queue]: 0 } })).toEqual([]);
    expect(idsOf(await t.lease({ queues }))).toEqual(["b", "c"]);
  });

  it("tells which queues have nothing more, and never one that has", async (t) => {
    const [full, last] = [t.queueNamed("full"), t.queueNamed("last")];
    await t.enqueue(["a", t.task("x", { queue: full }), t.task("y", { queue: full }), t.task("z", { queue: last })]);
    const queues = [t.queue, t.queueNamed("unknown"), full, last];
    const dryOf = async (limit: number) => {
      const { dry } = await t.broker.exchange({ settle: [], lease: t.request({ queues, limit }) }, t.at(0));
      return dry;
    };
    expect(await dryOf(2)).toEqual(queues.slice(0, 2));
    expect(await dryOf(1)).not.toContain(last);
    expect(await dryOf(5)).toEqual(queues);
  });

  it("does not call a queue dry in which a suspect waits", async (t) => {
    await suspect(t, "s");
    const lease = t.request({ suspects: 0 });
    expect((await t.broker.exchange({ settle: [], lease }, t.at(6_000))).dry).toEqual([]);
  });

  it(
    "tells which queues are paused",
    async (t) => {
      const other = t.queueNamed("other");
      await t.enqueue(["a", t.task("x", { queue: other })]);
      await t.storage.pause(t.queue);
      const lease = t.request({ queues: [t.queue, other] });
      const { leased, paused, dry } = await t.broker.exchange({ settle: [], lease }, t.at(0));
      expect(idsOf(leased)).toEqual(["x"]);
      expect(paused).toEqual([t.queue]);
      expect(dry).toEqual([other]);
    },
    { needs: "pause" },
  );
});
