import { expect } from "vitest";
import { newId } from "../../src/core/ids.js";
import { uniqueKey } from "../../src/core/message.js";
import type { TaskState } from "../../src/core/state.js";
import { settled } from "../support/builders.js";
import { by, describeBroker, idsOf, type Trial } from "./describe-broker.js";

type Reached = Exclude<TaskState, "aggregating">;
const reached: readonly Reached[] = ["pending", "active", "scheduled", "retry", "archived", "completed"];

/** One task in each state there is a way to; its id says which. */
async function oneOfEach(t: Trial): Promise<void> {
  await t.enqueue(["completed", "archived", "retry", "active"].map((id) => t.task(id, { retentionMs: 60_000 })));
  const [completed, archived, retry] = await t.lease();
  await t.settle([settled.completed(completed!), settled.archived(archived!), settled.retry(retry!, t.at(50_000))]);
  await t.enqueue(["pending", t.task("scheduled", {}, { processAtMs: t.at(90_000) })]);
}

describeBroker("moving tasks", ({ it }) => {
  for (const [to, wrong] of [
    ["pending", ["pending", "active"]],
    ["archived", ["archived", "active"]],
    ["deleted", ["active"]],
  ] as const) {
    it(`makes a task ${to}, from whatever state it can come`, async (t) => {
      await oneOfEach(t);

      const answer = await t.move([...reached, "nobody"], to);

      const refused = (state: string) => (wrong as readonly string[]).includes(state);
      expect(answer).toEqual({
        receipts: [...reached.map((state) => (refused(state) ? "wrongState" : "moved")), "notFound"],
      });
      for (const state of reached) {
        const expected = refused(state) ? state : to === "deleted" ? "gone" : to;
        expect([state, await t.stateOf(state)]).toEqual([state, expected]);
      }
      const moved = reached.length - wrong.length;
      const stayed = Object.fromEntries(wrong.map((state) => [state, 1]));
      expect(await t.counts()).toEqual(to === "deleted" ? stayed : { ...stayed, [to]: moved + (refused(to) ? 1 : 0) });
    });
  }

  it("runs behind what waits already, in the order asked for", async (t) => {
    await t.enqueue(["a", "b", "c"].map((id) => t.task(id, {}, { processAtMs: t.at(60_000) })));
    await t.enqueue(["first"]);

    await t.move(["c", "a", "b"], "pending");

    expect(idsOf(await t.leaseAll())).toEqual(["first", "c", "a", "b"]);
  });

  it("runs a state's earliest first, and counts their waiting from now on", async (t) => {
    await t.enqueue(["late", "early"].map((id, n) => t.task(id, {}, { processAtMs: t.at(90_000 - n * 30_000) })));

    expect(await t.move("scheduled", "pending", { ms: 5_000 })).toEqual({ moved: 2, skipped: 0, cursor: undefined });

    expect((await t.info(8_000))?.latencyMs).toBe(3_000);
    expect(idsOf(await t.leaseAll())).toEqual(["early", "late"]);
  });

  it("says for each id what became of it, also for one that comes twice", async (t) => {
    await t.enqueue(["1", "2"]);

    expect(await t.move(["1", "1", "none", "none"], "archived")).toEqual({
      receipts: ["moved", "wrongState", "notFound", "notFound"],
    });
    expect(await t.move(["2", "2"], "deleted")).toEqual({ receipts: ["moved", "notFound"] });
    expect(await t.counts()).toEqual({ archived: 1 });
  });

  it("moves as many as `limit`, what comes first, and says whether there are more", async (t) => {
    await t.enqueue(Array.from({ length: 5 }, (_, n) => `${n}`));

    expect(await t.move("pending", "archived", { limit: 2 })).toMatchObject({ moved: 2, cursor: expect.any(String) });
    expect(await t.ids("archived")).toEqual(["0", "1"]);
    expect(await t.move("pending", "deleted", { limit: 2 })).toMatchObject({ moved: 2, cursor: expect.any(String) });
    expect(await t.move("pending", "deleted", { limit: 2 })).toEqual({ moved: 1, skipped: 0, cursor: undefined });
    expect(await t.move("pending", "deleted", { limit: 2 })).toEqual({ moved: 0, skipped: 0, cursor: undefined });
  });

  it("goes on behind what it moved, though tasks come back that are due sooner", async (t) => {
    await t.enqueue(["a", "b", "c", "d"]);
    const [a, b, c, d] = await t.lease();
    await t.settle([a!, b!, c!, d!].map((task, n) => settled.retry(task, t.at(3_600_000 + n * 1_000))));

    const first = await t.move("retry", "pending", { limit: 2 });
    await t.settle((await t.lease()).map((task) => settled.retry(task, t.at(1_000))));
    expect(await t.ids("retry")).toEqual(["a", "b", "c", "d"]);
    const second = await t.move("retry", "pending", { limit: 2, cursor: "cursor" in first ? first.cursor : undefined });

    expect(idsOf(await t.lease())).toEqual(["c", "d"]);
    expect([first, second]).toEqual([
      { moved: 2, skipped: 0, cursor: expect.any(String) },
      { moved: 2, skipped: 0, cursor: undefined },
    ]);
  });

  it("moves more ids than one script takes", async (t) => {
    const ids = Array.from({ length: 1_100 }, (_, n) => `${n}`);
    await t.enqueue(ids);

    expect(await t.move(ids, "archived")).toEqual({ receipts: ids.map(() => "moved") });
    expect(await t.move(ids.toReversed(), "pending")).toEqual({ receipts: ids.map(() => "moved") });
    expect(idsOf(await t.leaseAll())).toEqual(ids.toReversed());
  });

  for (const state of ["scheduled", "retry", "archived", "completed"] as const) {
    it(`moves all that is ${state} out of the world`, async (t) => {
      await oneOfEach(t);

      expect(await t.move(state, "deleted")).toEqual({ moved: 1, skipped: 0, cursor: undefined });
      expect(await t.stateOf(state)).toBe("gone");
      expect(await t.move(state, "deleted")).toEqual({ moved: 0, skipped: 0, cursor: undefined });
    });
  }

  it("moves nothing that is active, nor to where it is", async (t) => {
    await oneOfEach(t);

    for (const [state, to] of [
      ["active", "deleted"],
      ["pending", "pending"],
      ["archived", "archived"],
    ] as const) {
      expect(await t.move(state, to)).toEqual({ moved: 0, skipped: 0, cursor: undefined });
      expect(await t.stateOf(state)).toBe(state);
    }
  });

  it("says of a dead letter who made it one, and leaves its last error", async (t) => {
    await t.enqueue(["1"]);
    await t.settle([settled.retry(await t.leaseOne(), t.at(60_000))]);

    await t.move(["1"], "archived", { ms: 7_500 });

    expect(await t.find("1")).toMatchObject({
      archivedAtMs: t.at(7_000),
      failure: { reason: "manual", message: `by ${by.actor}: ${by.reason}` },
      message: { lastError: "boom", retried: 1 },
    });
    expect(await t.info()).toMatchObject({ processed: 1, failed: 1 });
  });

  it("gives a task at least as many more runs as asked for, and does not take any away", async (t) => {
    await t.enqueue([
      t.task("spent", { maxRetry: 2, retried: 2 }),
      t.task("fresh", { maxRetry: 9, retried: 1 }),
      t.task("lots", { maxRetry: 300, retried: 300 }),
    ]);
    await t.move("pending", "archived");
    const before = (await t.find("spent"))!.bytes;

    await t.move(["spent"], "pending");
    expect(Buffer.compare((await t.find("spent"))!.bytes, before)).toBe(0);
    await t.move(["spent"], "archived");
    await t.move("archived", "pending", { attempts: 3 });

    const messages = await Promise.all(["spent", "fresh", "lots"].map((id) => t.find(id)));
    expect(messages.map((one) => [one?.message?.maxRetry, one?.message?.retried])).toEqual([
      [4, 2],
      [9, 1],
      [302, 300],
    ]);
  });

  it("lets a quarantined task crash as often as it has attempts", async (t) => {
    const crash = async (ms: number) => {
      await t.leaseOne({ leaseMs: 5_000 }, ms);
      return (await t.reclaim(ms + 6_000))[0]?.to;
    };
    await t.enqueue(["1"]);
    expect([await crash(0), await crash(10_000), await crash(20_000)]).toEqual(["pending", "pending", "archived"]);

    await t.move(["1"], "pending", { ms: 30_000 });
    expect(await crash(30_000)).toBe("archived");
    await t.move(["1"], "pending", { ms: 40_000, attempts: 2 });
    expect([await crash(40_000), await crash(50_000)]).toEqual(["pending", "archived"]);
    await t.move(["1"], "pending", { ms: 60_000, attempts: 5 });
    expect((await t.find("1"))?.crashes).toBe(0);
  });

  for (const state of ["pending", "scheduled", "retry", "archived"] as const) {
    it(`gives the lock of a ${state} task back when it is deleted, and only then`, async (t) => {
      const lock = uniqueKey(t.queue, "test:plain", null);
      const processAtMs = state === "scheduled" ? t.at(60_000) : 0;
      const unique = (id: string) => t.task(id, { uniqueKey: lock }, { uniqueForMs: 600_000, processAtMs });
      await t.enqueue([unique("1")]);
      if (state === "retry") await t.settle([settled.retry(await t.leaseOne(), t.at(60_000))]);
      if (state === "archived") await t.move(["1"], "archived");
      expect(await t.stateOf("1")).toBe(state);
      expect(await t.enqueue([unique("2")])).toEqual([{ status: "duplicate", id: "1" }]);

      await t.move(["1"], "deleted");

      expect(await t.enqueue([unique("2")])).toMatchObject([{ status: "enqueued", id: "2" }]);
      await t.move([(await t.enqueue([t.task("3")]))[0]!.id], "deleted");
      expect(await t.enqueue([unique("4")])).toEqual([{ status: "duplicate", id: "2" }]);
    });
  }

  it("does not let a repeated enqueue bring a deleted task back", async (t) => {
    const id = newId(t.at(0));
    await t.enqueue([t.task(id)]);
    await t.move([id], "deleted");

    await t.enqueue([t.task(id, {}, { repeat: true })], 1_000);

    expect(await t.stateOf(id)).toBe("gone");
  });

  it("leaves a task to the worker that has it: it can still settle", async (t) => {
    await t.enqueue(["1"]);
    const task = await t.leaseOne();

    expect(await t.move(["1"], "deleted")).toEqual({ receipts: ["wrongState"] });

    expect(await t.settle([settled.completed(task)])).toEqual(["settled"]);
  });
});
