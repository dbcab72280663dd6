import { expect } from "vitest";
import { bytesOf, settled } from "../support/builders.js";
import { describeBroker, states, type Trial } from "./describe-broker.js";

/** Two tasks in each state there is a way to; ids say which. */
async function oneOfEach(t: Trial): Promise<void> {
  const ids = ["completed", "archived", "retry", "active"].flatMap((state) => [`${state}-1`, `${state}-2`]);
  await t.enqueue(ids.map((id) => t.task(id, { retentionMs: 60_000, payload: Buffer.from(id) })));
  const [c1, c2, a1, a2, r1, r2] = await t.lease({ limit: 8 });
  await t.settle([settled.completed(c1!, Buffer.from("42")), settled.archived(a1!), settled.retry(r2!, t.at(50_000))]);
  await t.settle([settled.completed(c2!), settled.archived(a2!), settled.retry(r1!, t.at(40_000))], 1_000);
  await t.enqueue(["pending-1", "pending-2"]);
  await t.enqueue([
    t.task("scheduled-2", {}, { processAtMs: t.at(90_000) }),
    t.task("scheduled-1", {}, { processAtMs: t.at(80_000) }),
  ]);
}

describeBroker("looking", ({ it }) => {
  it("tells how many there are in each state, and what has been done", async (t) => {
    await oneOfEach(t);

    expect(await t.info(2_000)).toMatchObject({
      name: t.queue,
      paused: false,
      counts: { pending: 2, active: 2, scheduled: 2, retry: 2, archived: 2, completed: 2, aggregating: 0 },
      processed: 6,
      failed: 4,
      latencyMs: 2_000,
    });
  });

  it("tells how many are pending, queue by queue, also of one that there is not", async (t) => {
    const other = t.elsewhere();
    await oneOfEach(t);
    await other.enqueue(["1"]);

    expect(await t.broker.pending([other.queue, "there is none", t.queue])).toEqual([1, 0, 2]);
    expect(await t.broker.pending([])).toEqual([]);
  });

  it("lists pending in the order of running, the others by time", async (t) => {
    await oneOfEach(t);

    const lists = await Promise.all(states.map(async (state) => [state, await t.ids(state)] as const));

    expect(Object.fromEntries(lists)).toEqual({
      pending: ["pending-1", "pending-2"],
      active: ["active-1", "active-2"],
      scheduled: ["scheduled-1", "scheduled-2"],
      retry: ["retry-1", "retry-2"],
      archived: ["archived-1", "archived-2"],
      completed: ["completed-1", "completed-2"],
      aggregating: [],
    });
  });

  it("tells the same of a task in a list as by its id, but for earlier failures", async (t) => {
    await oneOfEach(t);

    for (const state of states) {
      const { items } = await t.broker.list({ queue: t.queue, state }, { limit: 10 });
      const found = await t.broker.find(items.map(({ queue, id }) => ({ queue, id })));
      expect(items.map((item) => ({ ...item, history: [] }))).toEqual(found);
    }
  });

  it("tells all there is to know of a task", async (t) => {
    await t.enqueue([t.task("1", { payload: Buffer.from("x"), headers: { a: "b" } }, { processAtMs: t.at(60_500) })]);

    const info = await t.find("1");

    expect(info).toMatchObject({
      id: "1",
      queue: t.queue,
      state: "scheduled",
      dueAtMs: t.at(61_000),
      archivedAtMs: undefined,
      result: undefined,
      failure: undefined,
      crashes: 0,
    });
    expect(Buffer.from(info!.bytes).toString("hex")).toBe(bytesOf(info!.message!));
    expect({ ...info!.message!.headers }).toEqual({ a: "b" });
  });

  it("tells no time where there is none", async (t) => {
    await oneOfEach(t);

    const times = async (id: string) => {
      const info = await t.find(id);
      return [info?.dueAtMs, info?.archivedAtMs];
    };

    expect(await times("pending-1")).toEqual([undefined, undefined]);
    expect(await times("active-1")).toEqual([undefined, undefined]);
    expect(await times("scheduled-1")).toEqual([t.at(80_000), undefined]);
    expect(await times("retry-1")).toEqual([t.at(40_000), undefined]);
    expect(await times("completed-1")).toEqual([t.at(60_000), undefined]);
    expect(await times("archived-1")).toEqual([undefined, t.at(0)]);
  });

  it("lists some of a queue by their ids, those that are there", async (t) => {
    await t.enqueue(["1", "2", "3"]);

    const { items, next } = await t.broker.list({ queue: t.queue, ids: ["3", "none", "1"] }, { limit: 10 });

    expect(items.map(({ id }) => id)).toEqual(["3", "1"]);
    expect(next).toBeUndefined();
  });

  it("lists those of one type", async (t) => {
    await t.enqueue(Array.from({ length: 30 }, (_, n) => t.task(`${n}`, { type: n % 10 === 3 ? "rare" : "common" })));

    const seen: string[] = [];
    let cursor: string | undefined;
    do {
      const page = await t.broker.list({ queue: t.queue, state: "pending", type: "rare" }, { limit: 5, cursor });
      expect(page.items.length).toBeLessThanOrEqual(5);
      seen.push(...page.items.map(({ id }) => id));
      cursor = page.next;
    } while (cursor !== undefined);

    expect(seen).toEqual(["3", "13", "23"]);
  });

  it("still knows a queue when it is empty, and tells queues by name", async (t) => {
    const names = ["b", "a", "c"].map((name) => t.queueNamed(name));
    await t.enqueue(names.map((queue) => t.task("1", { queue })));
    await t.settle((await t.lease({ queues: names })).map((task) => settled.completed(task)));

    const queues = (await t.broker.queues(t.at(0))).filter(({ name }) => names.includes(name));

    expect(queues.map(({ name }) => name)).toEqual(names.toSorted((x, y) => (x < y ? -1 : 1)));
    expect(queues.map(({ processed, counts }) => [processed, counts.pending])).toEqual([
      [1, 0],
      [1, 0],
      [1, 0],
    ]);
    const [a, none, c] = [names[1]!, t.queueNamed("none"), names[2]!];
    expect((await t.broker.queues(t.at(0), [c, none, a, c])).map(({ name }) => name)).toEqual([a, c]);
    expect(await t.broker.queues(t.at(0), [])).toEqual([]);
  });

  it("changes nothing", async (t) => {
    await oneOfEach(t);
    const before = await t.info();

    for (const state of states) await t.ids(state);
    await t.find("pending-1");

    expect(await t.info()).toEqual(before);
  });
});
