import { expect } from "vitest";
import type { LeasedTask } from "../../src/broker/broker.js";
import { bytesOf, failure, settled } from "../support/builders.js";
import { describeBroker, idsOf, type Trial } from "./describe-broker.js";

async function leased(t: Trial, fields: Parameters<Trial["task"]>[1] = {}): Promise<LeasedTask> {
  await t.enqueue([t.task("1", { payload: Buffer.from("payload"), ...fields })]);
  return t.leaseOne();
}
const messageOf = async (t: Trial) => bytesOf((await t.find("1"))!.message!);

describeBroker("outcomes", ({ it }) => {
  it("completed: the task is gone, and counted", async (t) => {
    await t.settle([settled.completed(await leased(t), Buffer.from("42"))]);

    expect(await t.find("1")).toBeUndefined();
    expect(await t.info()).toMatchObject({ processed: 1, failed: 0, latencyMs: 0 });
  });

  it("completed with retention: it is kept with its result until that is over, and then pruned", async (t) => {
    const task = await leased(t, { retentionMs: 10_000, uniqueKey: "" });
    await t.settle([settled.completed(task, Buffer.from([0, 255, 1]))], 1_500);

    const kept = await t.find("1");
    expect(kept).toMatchObject({
      state: "completed",
      dueAtMs: t.at(11_000),
      archivedAtMs: undefined,
      failure: undefined,
    });
    expect(Buffer.from(kept!.result!).toString("hex")).toBe("00ff01");
    expect(bytesOf(kept!.message!)).toBe(bytesOf({ ...task.message, completedAtMs: t.at(1_000) }));
    expect(await t.prune(10_999)).toBe(0);
    expect(await t.prune(11_000)).toBe(1);
    expect(await t.find("1")).toBeUndefined();
    expect(await t.info()).toMatchObject({ processed: 1, failed: 0 });
  });

  it("completed with retention and no result: there is none", async (t) => {
    await t.settle([settled.completed(await leased(t, { retentionMs: 10_000 }))]);

    expect((await t.find("1"))?.result).toBeUndefined();
  });

  it("completed with a result of no bytes, or of a megabyte", async (t) => {
    await t.enqueue([t.task("empty", { retentionMs: 10_000 }), t.task("large", { retentionMs: 10_000 })]);
    const [empty, large] = await t.leaseAll();
    await t.settle([
      settled.completed(empty!, new Uint8Array(0)),
      settled.completed(large!, Buffer.alloc(1_048_576, 7)),
    ]);

    expect((await t.find("empty"))?.result?.length ?? 0).toBe(0);
    expect((await t.find("large"))?.result?.length).toBe(1_048_576);
  });

  it("retry: it waits for its time, knows its failure, and runs again with one more on the count", async (t) => {
    const task = await leased(t);
    const why = failure({ reason: "timeout", class: "HoldfastError", message: "too slow: é" });
    await t.settle([{ task, outcome: { kind: "retry", atMs: t.at(30_001), counts: true, failure: why } }], 2_500);

    const waiting = { ...task.message, retried: 1, lastError: "too slow: é", lastFailedAtMs: t.at(2_000) };
    expect(await t.find("1")).toMatchObject({ state: "retry", dueAtMs: t.at(31_000), failure: why });
    expect(await messageOf(t)).toBe(bytesOf(waiting));
    expect(await t.info()).toMatchObject({ processed: 1, failed: 1 });

    expect((await t.promote(30_999)).moved).toBe(0);
    expect((await t.promote(31_000)).moved).toBe(1);
    const again = await t.leaseOne({}, 31_000);
    expect(bytesOf(again.message)).toBe(bytesOf(waiting));
    expect([again.crashes, again.returns]).toEqual([0, 0]);
  });

  it("retry that does not count: no failure, but a return, so that it cannot go on for ever", async (t) => {
    const task = await leased(t);
    await t.settle([settled.retry(task, t.at(1_000), false)]);

    expect((await t.find("1"))?.message?.retried).toBe(0);
    expect(await t.info()).toMatchObject({ processed: 0, failed: 0 });
    await t.promote(1_000);
    expect(await t.leaseOne({}, 1_000)).toMatchObject({
      returns: 1,
      crashes: 0,
      message: { retried: 0, lastError: "boom" },
    });
  });

  it("archived: a dead letter, with all that is known of its end", async (t) => {
    const task = await leased(t, { retried: 24, retentionMs: 1_000 });
    const why = failure({
      reason: "retries_exhausted",
      stack: "Error: boom\n    at x",
      startedAtMs: t.at(0),
      durationMs: 1_234,
    });
    await t.settle([settled.archived(task, why)], 2_500);

    expect(await t.find("1")).toMatchObject({
      state: "archived",
      archivedAtMs: t.at(2_000),
      failure: why,
      result: undefined,
    });
    expect(await messageOf(t)).toBe(bytesOf({ ...task.message, lastError: "boom", lastFailedAtMs: t.at(2_000) }));
    expect(await t.info()).toMatchObject({ processed: 1, failed: 1 });
    await t.prune(365 * 86_400_000);
    expect(await t.stateOf("1")).toBe("archived");
  });

  it("revoked: forgotten, also where it would have been kept; counted, and not as a failure", async (t) => {
    await t.settle([settled.revoked(await leased(t, { retentionMs: 60_000 }))]);

    expect(await t.find("1")).toBeUndefined();
    expect(await t.info()).toMatchObject({ processed: 1, failed: 0, counts: { completed: 0 } });
  });

  it("released: back to the front, unchanged, with a return on its count", async (t) => {
    const task = await leased(t);
    await t.enqueue(["2"]);
    await t.settle([settled.released(task)], 1_000);

    expect(await t.ids("pending")).toEqual(["1", "2"]);
    expect(await messageOf(t)).toBe(bytesOf(task.message));
    expect(await t.info(3_000)).toMatchObject({ processed: 0, failed: 0, latencyMs: 2_000 });
    const again = await t.leaseOne();
    expect([again.lease.id, again.returns, again.crashes]).toEqual(["1", 1, 0]);
    expect((await t.find("1"))?.failure).toBeUndefined();
  });

  it("released in a batch: they come back in the order of the list, before all others", async (t) => {
    await t.enqueue(["1", "2", "3", "4", "5"]);
    const [one, two, three, four] = await t.lease({ limit: 4 });
    await t.settle([
      settled.completed(one!),
      settled.released(two!),
      settled.retry(three!, t.at(60_000)),
      settled.released(four!),
    ]);

    expect(await t.ids("pending")).toEqual(["2", "4", "5"]);
    expect(idsOf(await t.lease())).toEqual(["2", "4", "5"]);
  });

  it("forgets the failure of an attempt that was followed by a better one", async (t) => {
    const task = await leased(t, { retentionMs: 60_000 });
    await t.settle([settled.retry(task, t.at(1_000))]);
    await t.promote(1_000);
    await t.settle([settled.completed(await t.leaseOne({}, 1_000))], 1_000);

    expect(await t.find("1")).toMatchObject({
      state: "completed",
      failure: undefined,
      message: { retried: 1, lastError: "boom" },
    });
  });

  it("keeps counting over the lives of a task", async (t) => {
    await t.enqueue(["1"]);
    for (let n = 0; n < 4; n += 1) {
      const task = await t.leaseOne({}, n * 1_000);
      expect([task.message.retried, task.returns]).toEqual([n, 0]);
      await t.settle([settled.retry(task, t.at((n + 1) * 1_000))], n * 1_000);
      await t.promote((n + 1) * 1_000);
    }
    expect(await t.info()).toMatchObject({ processed: 4, failed: 4, counts: { pending: 1 } });
  });

  it("holds what people write: quotes, brackets, line breaks, any script, four kilobytes of it", async (t) => {
    const nasty = `"'\\\n\r\t\0\u2028{}[]<script>%s$1 日本語 😀 ${"x".repeat(4_000)}`;
    const why = failure({ class: nasty.slice(0, 128), message: nasty, stack: nasty });
    await t.settle([settled.archived(await leased(t), why)]);

    expect(await t.find("1")).toMatchObject({
      failure: { class: why.class, message: nasty, stack: nasty },
      message: { lastError: nasty },
    });
  });
});
