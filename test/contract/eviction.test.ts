import { expect } from "vitest";
import type { EvictionCause, SeenLetter } from "../../src/broker/eviction.js";
import { uniqueKey } from "../../src/core/message.js";
import { settled } from "../support/builders.js";
import { by, describeBroker, type Trial } from "./describe-broker.js";

const store = (t: Trial) => t.broker.deadLetters!;

/** Dead letters of these ids, one second apart. */
async function die(t: Trial, ids: readonly string[], ms = 0): Promise<void> {
  for (const [n, id] of ids.entries()) {
    await t.enqueue([t.task(id, { maxRetry: 25 })], ms + n * 1_000);
    const task = await t.leaseOne({}, ms + n * 1_000);
    await t.settle([settled.archived(task)], ms + n * 1_000);
  }
}

async function seen(t: Trial, ids: readonly string[]): Promise<SeenLetter[]> {
  const tasks = await Promise.all(ids.map((id) => t.find(id)));
  return tasks.map((task, n) => ({
    id: ids[n]!,
    archivedAtMs: task?.archivedAtMs ?? 0,
    message: task?.bytes ?? new Uint8Array(),
  }));
}

const evict = (t: Trial, letters: readonly SeenLetter[], cause: EvictionCause = "age", ms = 60_000) =>
  store(t).evict(t.queue, letters, cause, by, t.at(ms));

describeBroker("evicting dead letters", ({ it }) => {
  it("deletes those that are what was seen, counted by cause, and no other task", async (t) => {
    await die(t, ["a", "b", "c"]);
    const letters = await seen(t, ["a", "b", "c"]);

    expect(await evict(t, letters.slice(0, 1), "spilled_size")).toEqual(["evicted"]);
    expect(await evict(t, [...letters.slice(0, 2), letters[1]!], "age")).toEqual(["notFound", "evicted", "notFound"]);
    expect(await evict(t, [], "age")).toEqual([]);

    expect(await t.counts()).toEqual({ archived: 1 });
    expect(await t.ids("archived")).toEqual(["c"]);
    expect(await store(t).evicted([t.queue, t.queueNamed("none")])).toEqual([{ spilled_size: 1, age: 1 }, {}]);
  });

  it("leaves what has been run since, and what has died again", async (t) => {
    await die(t, ["a", "b", "c"]);
    const letters = await seen(t, ["a", "b", "c"]);
    await t.move(["a", "b"], "pending", { ms: 5_000 });
    const again = (await t.leaseAll({}, 5_000)).find(({ lease }) => lease.id === "b")!;
    await t.settle([settled.archived(again)], 9_000);

    expect(await evict(t, letters)).toEqual(["notFound", "changed", "evicted"]);

    expect([await t.stateOf("a"), await t.stateOf("b")]).toEqual(["active", "archived"]);
    expect(await store(t).evicted([t.queue])).toEqual([{ age: 1 }]);
  });

  it("tells one that died again within the same second by its message", async (t) => {
    await die(t, ["a"]);
    const [letter] = await seen(t, ["a"]);
    await t.move(["a"], "pending", { ms: 0 });
    await t.settle([settled.archived(await t.leaseOne(), { message: "another error" })]);

    expect((await t.find("a"))?.archivedAtMs).toBe(letter!.archivedAtMs);
    expect(await evict(t, [letter!])).toEqual(["changed"]);
  });

  it("releases the unique lock, so that another task may come", async (t) => {
    const lock = uniqueKey(t.queue, "email:welcome", new Uint8Array());
    const unique = (id: string) => t.task(id, { uniqueKey: lock }, { uniqueForMs: 3_600_000 });
    await t.enqueue([unique("a")]);
    await t.settle([settled.archived(await t.leaseOne())]);
    await t.enqueue([t.task("locked-out")]);

    expect(await evict(t, await seen(t, ["a"]))).toEqual(["evicted"]);
    expect(await t.enqueue([unique("b")], 1_000)).toMatchObject([{ status: "enqueued" }]);
  });

  it("counts what died lately, wherever it is kept", async (t) => {
    await die(t, ["a", "b", "c"], 10_000);

    const counts = await store(t).diedSince([t.queue, t.queueNamed("none")], [t.at(0), t.at(11_000), t.at(90_000)]);

    expect(counts).toEqual([
      [3, 2, 0],
      [0, 0, 0],
    ]);
    const [reach] = await store(t).inReachOfGo([t.queue]);
    expect([0, 3]).toContain(reach);
  });

  it("is bounded: hundreds at once are taken in turn", async (t) => {
    const ids = Array.from({ length: 620 }, (_, n) => `t${n}`);
    await t.enqueue(ids);
    await t.move("pending", "archived", { limit: 500 });
    await t.move("pending", "archived", { limit: 500 });

    const receipts = await evict(t, await seen(t, ids), "size");

    expect(receipts).toEqual(ids.map(() => "evicted"));
    expect(await store(t).evicted([t.queue])).toEqual([{ size: 620 }]);
    expect(await t.counts()).toEqual({});
  });
});
