import { expect } from "vitest";
import { maxCrashes } from "../../src/broker/broker.js";
import { bytesOf, settled } from "../support/builders.js";
import { describeBroker, idsOf, type Trial } from "./describe-broker.js";

/** Lease what there is and let the worker die; the answer is when, in ms. */
async function crash(t: Trial, ms: number): Promise<number> {
  const leased = await t.lease({ leaseMs: 5_000, suspects: 100 }, ms);
  expect(leased).not.toEqual([]);
  await t.reclaim(ms + 5_000);
  return ms + 5_000;
}

describeBroker("crashes", ({ it }) => {
  it("leaves a lease alone until it has run out, to the second", async (t) => {
    await t.enqueue(["1"]);
    await t.lease({ leaseMs: 5_000 });

    expect(await t.reclaim(4_999)).toEqual([]);
    expect(await t.reclaim(5_000)).toEqual([{ queue: t.queue, id: "1", to: "pending", crashes: 1 }]);
    expect(await t.reclaim(5_000)).toEqual([]);
  });

  it("burns no retry: a task runs again after a crash as it was, with the crash on its count", async (t) => {
    await t.enqueue([t.task("1", { maxRetry: 0, payload: Buffer.from("x") })]);
    const before = await t.leaseOne({ leaseMs: 5_000 });
    await t.reclaim(6_000);

    const again = await t.leaseOne({}, 6_000);

    expect(bytesOf(again.message)).toBe(bytesOf(before.message));
    expect([again.crashes, again.returns]).toEqual([1, 0]);
    expect(await t.find("1")).toMatchObject({ crashes: 1, failure: undefined });
    expect(await t.info(6_000)).toMatchObject({ processed: 0, failed: 0 });
  });

  it("puts what was left behind in front, the lease that ran out first foremost", async (t) => {
    await t.enqueue(["late", "early", "waiting"]);
    await t.lease({ limit: 1, leaseMs: 9_000 });
    await t.lease({ limit: 1, leaseMs: 5_000 });

    const receipts = await t.reclaim(10_000);

    expect(receipts.map(({ id }) => id)).toEqual(["early", "late"]);
    expect(await t.ids("pending")).toEqual(["early", "late", "waiting"]);
    expect((await t.info(12_000))?.latencyMs).toBe(2_000);
  });

  it("looks at the queues it is given, and at no other", async (t) => {
    const [a, b] = [t.queueNamed("a"), t.queueNamed("b")];
    await t.enqueue([t.task("1", { queue: a }), t.task("2", { queue: b })]);
    await t.lease({ queues: [a, b], leaseMs: 5_000 });

    expect(await t.broker.reclaim([b], 10, t.at(60_000))).toEqual([{ queue: b, id: "2", to: "pending", crashes: 1 }]);
    expect(await t.broker.reclaim([a, b], 10, t.at(60_000))).toEqual([
      { queue: a, id: "1", to: "pending", crashes: 1 },
    ]);
  });

  it("reclaims each lease once, however many look", async (t) => {
    await t.enqueue(Array.from({ length: 20 }, (_, n) => `${n}`));
    await t.lease({ leaseMs: 5_000 });

    const receipts = (await Promise.all(Array.from({ length: 6 }, () => t.reclaim(6_000, 10)))).flat();

    expect(receipts).toHaveLength(20);
    expect(new Set(receipts.map(({ id }) => id)).size).toBe(20);
    expect(receipts.every(({ crashes }) => crashes === 1)).toBe(true);
  });

  it(`quarantines a task whose worker has died ${maxCrashes} times`, async (t) => {
    await t.enqueue([t.task("1", { retentionMs: 1_000 })]);
    let ms = 0;
    for (let n = 1; n < maxCrashes; n += 1) ms = await crash(t, ms);
    expect(await t.find("1")).toMatchObject({ state: "pending", crashes: maxCrashes - 1 });

    const task = await t.leaseOne({ leaseMs: 5_000 }, ms);
    expect(await t.reclaim(ms + 5_500)).toEqual([{ queue: t.queue, id: "1", to: "archived", crashes: maxCrashes }]);

    const info = await t.find("1");
    expect(info).toMatchObject({
      state: "archived",
      crashes: maxCrashes,
      archivedAtMs: t.at(ms + 5_000),
      failure: { reason: "quarantined", class: expect.any(String), message: expect.stringMatching(/3 times/) },
    });
    // Readable for Go programs, too: the message says it, and is otherwise the same.
    const { lastError, lastFailedAtMs, ...rest } = info!.message!;
    expect([lastError, lastFailedAtMs]).toEqual([info!.failure!.message, t.at(ms + 5_000)]);
    expect(bytesOf({ ...rest, lastError: "", lastFailedAtMs: 0 })).toBe(bytesOf(task.message));
    expect(await t.info(ms)).toMatchObject({ processed: 1, failed: 1, counts: { archived: 1 } });
    expect(await t.lease({}, ms + 60_000)).toEqual([]);
  });

  it("archives a task that is to run at most once, after its first crash", async (t) => {
    await t.enqueue([t.task("1", {}, { atMostOnce: true }), "2"]);
    const leased = await t.lease({ leaseMs: 5_000 });
    expect(leased.map(({ atMostOnce }) => atMostOnce)).toEqual([true, false]);

    const receipts = await t.reclaim(5_000);

    expect(receipts).toEqual([
      { queue: t.queue, id: "1", to: "archived", crashes: 1 },
      { queue: t.queue, id: "2", to: "pending", crashes: 1 },
    ]);
    expect(await t.find("1")).toMatchObject({
      state: "archived",
      failure: { reason: "lease_expired" },
      message: { lastError: expect.stringMatching(/at most once/) },
    });
  });

  it("lets a task that is to run at most once be tried again after a failure, which is no crash", async (t) => {
    await t.enqueue([t.task("1", {}, { atMostOnce: true })]);
    await t.settle([settled.retry(await t.leaseOne(), t.at(1_000))]);
    await t.promote(1_000);
    await t.lease({ leaseMs: 5_000 }, 1_000);

    expect(await t.reclaim(10_000)).toMatchObject([{ to: "archived", crashes: 1 }]);
  });

  it("leases no more crash suspects than were asked for, and passes over the others", async (t) => {
    await t.enqueue(["s1", "s2", "s3"]);
    await t.lease({ leaseMs: 5_000 });
    await t.reclaim(5_000);
    await t.enqueue(["a", "b", "c"], 5_000);

    expect(idsOf(await t.lease({ suspects: 0, limit: 2 }, 5_000))).toEqual(["a", "b"]);
    const mixed = await t.lease({ suspects: 2, limit: 10 }, 5_000);
    expect(idsOf(mixed)).toEqual(["s1", "s2", "c"]);
    expect(mixed.map(({ crashes }) => crashes)).toEqual([1, 1, 0]);
    expect(await t.lease({ suspects: 0 }, 5_000)).toEqual([]);
    expect(idsOf(await t.lease({ suspects: 1 }, 5_000))).toEqual(["s3"]);
  });

  it("counts suspects over all queues of a request", async (t) => {
    const queues = [t.queueNamed("a"), t.queueNamed("b")];
    await t.enqueue(queues.map((queue) => t.task(`s-${queue}`, { queue })));
    await t.lease({ queues, leaseMs: 5_000 });
    await t.broker.reclaim(queues, 10, t.at(5_000));

    expect(await t.lease({ queues, suspects: 1 }, 5_000)).toHaveLength(1);
    expect(await t.lease({ queues, suspects: 1 }, 5_000)).toHaveLength(1);
  });

  it("finds the others behind any number of suspects", async (t) => {
    await t.enqueue(Array.from({ length: 300 }, (_, n) => `s${n}`));
    expect(await t.lease({ limit: 300, leaseMs: 5_000 })).toHaveLength(300);
    expect(await t.reclaim(5_000, 300)).toHaveLength(300);
    await t.enqueue(["a", "b"], 5_000);

    const reply = await t.broker.exchange({ settle: [], lease: t.request({ suspects: 0, limit: 2 }) }, t.at(5_000));

    expect([idsOf(reply.leased), reply.more]).toEqual([["a", "b"], false]);
    const none = await t.broker.exchange({ settle: [], lease: t.request({ suspects: 0 }) }, t.at(5_000));
    expect([idsOf(none.leased), none.more]).toEqual([[], false]);
    expect(await t.counts()).toEqual({ active: 2, pending: 300 });
  });

  it("leases a task alone whose next crash would be its last", async (t) => {
    await t.enqueue(["last", "suspect"]);
    let ms = await crash(t, 0);
    await t.settle([settled.released((await t.lease({ suspects: 2 }, ms))[1]!)], ms);
    ms += 30_000;
    await t.reclaim(ms);
    await t.enqueue(["a", "b"], ms);
    expect(await t.ids("pending")).toEqual(["last", "suspect", "a", "b"]);
    expect([await t.find("last"), await t.find("suspect")]).toMatchObject([{ crashes: 2 }, { crashes: 1 }]);

    expect(idsOf(await t.lease({ suspects: 0, limit: 1 }, ms))).toEqual(["a"]);
    const alone = await t.broker.exchange({ settle: [], lease: t.request({ suspects: 2 }) }, t.at(ms));
    expect([idsOf(alone.leased), alone.more]).toEqual([["last"], false]);
    expect(idsOf(await t.lease({ suspects: 2 }, ms))).toEqual(["suspect", "b"]);
  });

  it("leaves such a task for a later turn when others come before it, and takes what follows", async (t) => {
    const front = t.queueNamed("front");
    const queues = [front, t.queue];
    await t.enqueue(["last", "behind"]);
    let ms = 0;
    for (let n = 1; n < maxCrashes; n += 1) {
      await t.lease({ limit: 1, leaseMs: 5_000 }, ms);
      ms += 5_000;
      await t.reclaim(ms);
    }
    await t.enqueue([t.task("first", { queue: front })], ms);

    const reply = await t.broker.exchange({ settle: [], lease: t.request({ queues, suspects: 2 }) }, t.at(ms));
    expect([idsOf(reply.leased), reply.more]).toEqual([["first", "behind"], false]);
    expect(idsOf(await t.lease({ queues, suspects: 2 }, ms))).toEqual(["last"]);
  });

  it("keeps its place for a suspect that was passed over", async (t) => {
    await t.enqueue(["s"]);
    await t.lease({ leaseMs: 5_000 });
    await t.reclaim(5_000);
    await t.enqueue(["a", "b"], 5_000);

    await t.lease({ suspects: 0, limit: 1 }, 5_000);

    expect(await t.ids("pending")).toEqual(["s", "b"]);
  });

  it("remembers crashes over failures and releases", async (t) => {
    await t.enqueue(["1"]);
    let ms = await crash(t, 0);
    await t.settle([settled.released(await t.leaseOne({}, ms))], ms);
    await t.settle([settled.retry(await t.leaseOne({}, ms), t.at(ms + 1_000))], ms);
    ms += 1_000;
    await t.promote(ms);

    expect(await t.leaseOne({}, ms)).toMatchObject({ crashes: 1, returns: 1, message: { retried: 1 } });
  });
});
