import { expect } from "vitest";
import type { TaskState } from "../../src/core/state.js";
import { settled } from "../support/builders.js";
import { by, describeBroker, type Trial } from "./describe-broker.js";

const day = 86_400_000;
const nameOf = (ms: number) => new Date(ms).toISOString().slice(0, 10);

describeBroker("looking further", ({ it }) => {
  it("tells what each queue did on each day, today first", async (t) => {
    const other = t.queueNamed("other");
    const work = async (queue: string, count: number, failures: number, ms: number) => {
      await t.enqueue(Array.from({ length: count }, (_, n) => t.task(`${ms}-${n}`, { queue })));
      const tasks = await t.lease({ queues: [queue] }, ms);
      await t.settle(
        tasks.map((task, n) => (n < failures ? settled.archived(task) : settled.completed(task))),
        ms,
      );
    };
    await work(t.queue, 3, 1, 0);
    await work(t.queue, 2, 2, 2 * day);
    await work(other, 1, 0, 2 * day);

    expect(await t.broker.history([t.queue, other, t.queueNamed("none")], 3, t.at(2 * day))).toEqual([
      [
        { day: nameOf(t.at(2 * day)), processed: 2, failed: 2 },
        { day: nameOf(t.at(day)), processed: 0, failed: 0 },
        { day: nameOf(t.at(0)), processed: 3, failed: 1 },
      ],
      [
        { day: nameOf(t.at(2 * day)), processed: 1, failed: 0 },
        { day: nameOf(t.at(day)), processed: 0, failed: 0 },
        { day: nameOf(t.at(0)), processed: 0, failed: 0 },
      ],
      [2, 1, 0].map((n) => ({ day: nameOf(t.at(n * day)), processed: 0, failed: 0 })),
    ]);
    expect(await t.broker.history([], 3, t.at(0))).toEqual([]);
  });

  it("tells of each state the earliest time there is", async (t) => {
    await t.enqueue(["completed", "archived", "retry", "active"].map((id) => t.task(id, { retentionMs: 60_000 })));
    const [completed, archived, retry] = await t.lease();
    await t.settle([settled.completed(completed!), settled.archived(archived!), settled.retry(retry!, t.at(50_000))]);
    await t.enqueue([90_000, 80_000].map((ms) => t.task(`at-${ms}`, {}, { processAtMs: t.at(ms) })));
    await t.enqueue(["first"], 1_000);
    await t.enqueue(["second"], 2_000);

    expect((await t.info(3_000))?.earliestAtMs).toEqual({
      pending: t.at(1_000),
      active: t.at(30_000),
      scheduled: t.at(80_000),
      retry: t.at(50_000),
      archived: t.at(0),
      completed: t.at(60_000),
    });
  });

  it("tells no time where there is nothing", async (t) => {
    await t.enqueue(["1"]);
    await t.settle([settled.completed(await t.leaseOne())]);

    expect((await t.info())?.earliestAtMs).toEqual({});
    expect((await t.info())?.pause).toBeUndefined();
  });

  it("says since when a queue is paused, who did it and why", async (t) => {
    await t.enqueue(["1"]);
    await t.broker.setPaused([t.queue], true, by, t.at(5_700));

    expect((await t.info(6_000))?.pause).toEqual({ atMs: t.at(5_000), actor: by.actor, reason: by.reason });

    await t.broker.setPaused([t.queue], false, by, t.at(7_000));
    expect((await t.info(8_000))?.pause).toBeUndefined();
  });

  it("estimates what each queue takes in storage", async (t) => {
    const [small, large, none] = ["small", "large", "none"].map((name) => t.queueNamed(name)) as [
      string,
      string,
      string,
    ];
    const payload = Buffer.alloc(10_000, "x");
    await t.enqueue([t.task("1", { queue: small })]);
    await t.enqueue(Array.from({ length: 300 }, (_, n) => t.task(`${n}`, { queue: large, payload })));

    const [smallBytes, largeBytes, noneBytes] = await t.broker.memory([small, large, none]);

    expect(smallBytes).toBeGreaterThan(20);
    expect(smallBytes).toBeLessThan(100_000);
    expect(largeBytes).toBeGreaterThan(300 * 10_000);
    expect(largeBytes).toBeLessThan(300 * 20_000);
    expect(noneBytes).toBe(0);
  });

  it("tells of no groups where there are none", async (t) => {
    await t.enqueue(["1"]);

    expect(await t.broker.groups(t.queue)).toEqual([]);
  });

  it("lets storage say what it says of itself", async (t) => {
    const { kind, nodes } = await t.broker.storage();

    const several = /^redis-(cluster|sentinel):/.test(t.broker.label);
    for (const { label } of nodes)
      expect(several ? "redis://127.0.0.1:" : t.broker.label).toBe(several ? label.replace(/\d+$/, "") : label);
    expect(Object.keys(nodes[0]!.fields).filter((name) => name.endsWith("version"))).not.toEqual([]);
    expect(kind).toMatch(/^(redis|embedded)$/);
  });
});

/** So many in a state, in order, some of equal times; ids sort as they come. */
async function many(t: Trial, state: TaskState, count: number): Promise<string[]> {
  const ids = Array.from({ length: count }, (_, n) => String(n).padStart(4, "0"));
  const laterMs = (n: number) => 60_000 + Math.floor(n / 7) * 1_000;
  const processAt = (n: number) => ({ processAtMs: t.at(laterMs(n)) });
  await t.enqueue(
    ids.map((id, n) => t.task(id, { retentionMs: laterMs(n) }, state === "scheduled" ? processAt(n) : {})),
  );
  if (state === "active") await t.leaseAll();
  if (state === "retry") await t.settle((await t.leaseAll()).map((task, n) => settled.retry(task, t.at(laterMs(n)))));
  if (state === "completed") await t.settle((await t.leaseAll()).map((task) => settled.completed(task)));
  if (state === "archived") await t.move(ids, "archived");
  return ids;
}

describeBroker("pages", ({ it }) => {
  for (const state of ["pending", "active", "scheduled", "retry", "archived", "completed"] as const) {
    const page = (t: Trial, cursor: string | undefined, backwards: boolean, limit = 10) =>
      t.broker.list({ queue: t.queue, state }, { limit, cursor, backwards });
    const told = ({ items }: { items: readonly { id: string }[] }) => items.map(({ id }) => id);

    it(`of ${state} tasks lead from the end to the beginning`, async (t) => {
      const ids = await many(t, state, 25);
      const pages: string[][] = [];
      let cursor: string | undefined;
      do {
        const found = await page(t, cursor, true);
        pages.push(told(found));
        expect(found.next === undefined).toBe(pages.length === 1);
        cursor = found.previous;
      } while (cursor !== undefined);

      expect(pages).toEqual([ids.slice(15), ids.slice(5, 15), ids.slice(0, 5)]);
    });

    it(`of ${state} tasks lead back to where one came from`, async (t) => {
      const ids = await many(t, state, 25);

      const first = await page(t, undefined, false);
      expect(first.previous).toBeUndefined();
      const second = await page(t, first.next, false);
      expect(told(second)).toEqual(ids.slice(10, 20));
      expect(told(await page(t, second.previous, true))).toEqual(ids.slice(0, 10));
      const third = await page(t, second.next, false);
      expect(told(third)).toEqual(ids.slice(20));
      expect(third.next).toBeUndefined();
      const back = await page(t, third.previous, true);
      expect(told(back)).toEqual(ids.slice(10, 20));
      expect(told(await page(t, back.next, false))).toEqual(ids.slice(20));
    });

    it(`of ${state} tasks go on where they were when what has been told is gone`, async (t) => {
      const ids = await many(t, state, 40);
      const first = await page(t, undefined, false);

      if (state === "active") {
        const held = await t.broker.list({ queue: t.queue, state }, { limit: 10 });
        expect(told(held)).toEqual(ids.slice(0, 10));
        await t.reclaim(60_000, 10);
        await t.move(ids.slice(0, 10), "deleted");
      } else {
        await t.move(ids.slice(0, 10), "deleted");
      }

      const second = await page(t, first.next, false);
      expect(told(second)).toEqual(ids.slice(10, 20));
      expect(second.previous).toBeUndefined();
    });
  }

  it("of one type lead both ways", async (t) => {
    await t.enqueue(Array.from({ length: 30 }, (_, n) => t.task(`${n}`, { type: n % 5 === 3 ? "rare" : "common" })));
    const page = (cursor: string | undefined, backwards: boolean) =>
      t.broker.list({ queue: t.queue, state: "pending", type: "rare" }, { limit: 2, cursor, backwards });
    const ids = (found: Awaited<ReturnType<typeof page>>) => found.items.map(({ id }) => id);

    const last = await page(undefined, true);
    expect(ids(last)).toEqual(["23", "28"]);
    const middle = await page(last.previous, true);
    expect(ids(middle)).toEqual(["13", "18"]);
    expect(ids(await page(middle.next, false))).toEqual(["23", "28"]);
  });

  it("of given ids lead both ways", async (t) => {
    await t.enqueue(["1", "2", "3", "4", "5"]);
    const page = (cursor: string | undefined, backwards: boolean) =>
      t.broker.list({ queue: t.queue, ids: ["5", "4", "3", "2", "1"] }, { limit: 2, cursor, backwards });
    const ids = (found: Awaited<ReturnType<typeof page>>) => found.items.map(({ id }) => id);

    const last = await page(undefined, true);
    expect([ids(last), last.next]).toEqual([["2", "1"], undefined]);
    const middle = await page(last.previous, true);
    expect(ids(middle)).toEqual(["4", "3"]);
    expect(ids(await page(middle.next, false))).toEqual(["2", "1"]);
    const first = await page(middle.previous, true);
    expect([ids(first), first.previous]).toEqual([["5"], undefined]);
  });

  it("tell each task once though workers take and clients put meanwhile", async (t) => {
    const ids = await many(t, "pending", 60);
    const seen: string[] = [];
    let cursor: string | undefined;
    let n = 0;
    do {
      const found = await t.broker.list({ queue: t.queue, state: "pending" }, { limit: 10, cursor });
      seen.push(...found.items.map(({ id }) => id));
      cursor = found.next;
      await t.lease({ limit: 3 });
      await t.enqueue([`later-${(n += 1)}`]);
    } while (cursor !== undefined && n < 50);

    expect(seen.slice(0, 60)).toEqual(ids);
    expect(new Set(seen).size).toBe(seen.length);
  });

  it("go on where they were though workers have taken many meanwhile", async (t) => {
    const ids = await many(t, "pending", 900);
    const first = await t.broker.list({ queue: t.queue, state: "pending" }, { limit: 700 });

    await t.lease({ limit: 450 });

    const second = await t.broker.list({ queue: t.queue, state: "pending" }, { limit: 700, cursor: first.next });
    expect(second.items.map(({ id }) => id)).toEqual(ids.slice(700));
    const back = await t.broker.list(
      { queue: t.queue, state: "pending" },
      { limit: 700, cursor: second.previous, backwards: true },
    );
    expect(back.items.map(({ id }) => id)).toEqual(ids.slice(450, 700));
  });

  it("do not end among tasks of the same time of which the one last told is gone", async (t) => {
    const ids = Array.from({ length: 50 }, (_, n) => String(n).padStart(4, "0"));
    await t.enqueue(ids.map((id) => t.task(id, {}, { processAtMs: t.at(60_000) })));
    const page = (cursor?: string) => t.broker.list({ queue: t.queue, state: "scheduled" }, { limit: 20, cursor });

    const first = await page();
    await t.move(["0019", "0020"], "deleted");
    const second = await page(first.next);

    expect(second.items.map(({ id }) => id)).toEqual(ids.slice(21, 41));
  });
});
