import { expect } from "vitest";
import type { LeasedTask } from "../../src/broker/broker.js";
import { settled, withToken } from "../support/builders.js";
import { describeBroker, type Trial } from "./describe-broker.js";

const outcomes: readonly (readonly [
  name: string,
  (t: Trial, task: LeasedTask) => ReturnType<typeof settled.completed>,
])[] = [
  ["completed", (_t, task) => settled.completed(task)],
  ["completed with a result", (_t, task) => settled.completed(task, Buffer.from("42"))],
  ["retry", (t, task) => settled.retry(task, t.at(60_000))],
  ["archived", (_t, task) => settled.archived(task)],
  ["revoked", (_t, task) => settled.revoked(task)],
  ["released", (_t, task) => settled.released(task)],
];

describeBroker("tokens fence", ({ it }) => {
  it("gives each lease a token of its own, which is the request's", async (t) => {
    await t.enqueue(["1", "2"]);

    const [one] = await t.lease({ requestId: "mine", limit: 1 });
    const [two] = await t.lease({ requestId: "yours", limit: 1 });

    expect([one, two].map((task) => task!.lease)).toEqual([
      { queue: t.queue, id: "1", token: "mine", untilMs: t.at(30_000) },
      { queue: t.queue, id: "2", token: "yours", untilMs: t.at(30_000) },
    ]);
  });

  for (const [name, outcome] of outcomes) {
    it(`refuses a late worker's ${name}, and writes nothing`, async (t) => {
      await t.enqueue([t.task("1", { retentionMs: 60_000 })]);
      const late = await t.leaseOne({ leaseMs: 5_000 });
      await t.reclaim(6_000);
      const next = await t.leaseOne({}, 6_000);
      const before = await t.find("1");

      expect(await t.settle([outcome(t, late)], 7_000)).toEqual(["leaseLost"]);

      expect(await t.find("1")).toEqual(before);
      expect(await t.info(7_000)).toMatchObject({ processed: 0, failed: 0, counts: { active: 1 } });
      expect(await t.settle([settled.completed(next)], 7_000)).toEqual(["settled"]);
    });

    it(`refuses a second settlement after ${name}`, async (t) => {
      await t.enqueue([t.task("1", { retentionMs: 60_000 })]);
      const task = await t.leaseOne();

      expect(await t.settle([outcome(t, task)])).toEqual(["settled"]);
      const before = await t.find("1");
      expect(await t.settle([settled.archived(task)])).toEqual(["leaseLost"]);
      expect(await t.find("1")).toEqual(before);
    });
  }

  it("refuses a worker whose task was reclaimed and not leased again", async (t) => {
    await t.enqueue(["1"]);
    const late = await t.leaseOne({ leaseMs: 5_000 });
    await t.reclaim(6_000);

    expect(await t.settle([settled.completed(late)], 6_000)).toEqual(["leaseLost"]);
    expect(await t.stateOf("1")).toBe("pending");
  });

  it("takes the settlement of a lease that ran out, as long as nobody has taken it over", async (t) => {
    await t.enqueue(["1"]);
    const task = await t.leaseOne({ leaseMs: 5_000 });

    expect(await t.settle([settled.completed(task)], 3_600_000)).toEqual(["settled"]);
  });

  it("refuses a made-up token, and a task that never was", async (t) => {
    await t.enqueue(["1"]);
    const task = await t.leaseOne();
    const stranger = { ...task, lease: { ...task.lease, id: "never" }, message: { ...task.message, id: "never" } };
    const elsewhere = { ...task, lease: { ...task.lease, queue: t.queueNamed("elsewhere") } };

    for (const wrong of [withToken(task, ""), withToken(task, `${task.lease.token}x`), stranger, elsewhere]) {
      expect(await t.settle([settled.completed(wrong)])).toEqual(["leaseLost"]);
    }
    expect(await t.counts()).toEqual({ active: 1 });
  });

  it(
    "lets two workers lease one task once",
    async (t) => {
      const other = t.another();
      await t.enqueue(Array.from({ length: 40 }, (_, n) => `${n}`));

      const replies = await Promise.all(
        Array.from({ length: 10 }, (_, n) =>
          (n % 2 === 0 ? t.broker : other).exchange({ settle: [], lease: t.request({ limit: 5 }) }, t.at(0)),
        ),
      );

      const ids = replies.flatMap(({ leased }) => leased.map(({ lease }) => lease.id));
      expect(ids).toHaveLength(40);
      expect(new Set(ids).size).toBe(40);
    },
    { needs: "shared" },
  );
});
