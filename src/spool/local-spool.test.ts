import { describe, expect, it } from "vitest";
import { newTask } from "../../test/support/builders.js";
import { away, ids, localSpools } from "../../test/support/local-spools.js";
import { until } from "../../test/support/until.js";
import { newId } from "../core/ids.js";
import { silent } from "../core/log.js";

describe("a broker's spool", () => {
  const open = localSpools();

  it("accepts at once, delivers in order as repeats, and releases when the incarnation has lasted", async () => {
    const { store, storage, spool, accept, empty } = open();
    storage.trustAfterMs = 60_000;

    expect(await accept(["a", "b"])).toEqual([
      { status: "spooled", id: "a" },
      { status: "spooled", id: "b" },
    ]);
    await accept(ids(1_000));
    await until("all are answered for", () => spool.counters().delivered === 1_002);
    expect(store.tasks).toHaveLength(1_002);
    expect(storage.sent).toEqual(["a", "b", ...ids(1_000)]);
    expect(storage.calls.every((call) => call.length <= 512)).toBe(true);
    expect(storage.calls.flat().every(({ repeat, spooled }) => repeat && spooled! > 900_000)).toBe(true);
    expect(await spool.outcomes(["b", "no"])).toEqual([{ status: "enqueued", id: "b", state: "pending" }, undefined]);
    storage.trustAfterMs = 50;
    await accept(["c"]);
    await empty();
    expect(spool.counters()).toEqual({ accepted: 1_003, delivered: 1_003, replayed: 0, released: 1_003, parked: 0 });
    expect(await spool.outcomes(["b"])).toEqual([{ status: "enqueued", id: "b", state: "pending" }]);
  });

  it("sends all again that is not released when the incarnation changes, and releases nothing while it is unknown", async () => {
    const { store, storage, spool, accept, empty } = open();
    await accept(["a", "b", "c"]);
    storage.trustAfterMs = 60_000;
    await until("all are answered for", () => spool.counters().delivered === 3);
    storage.incarnation = { id: "two", persistence: "aof" };
    await until("all are sent again", () => spool.counters().delivered === 6);
    expect(storage.sent).toEqual(["a", "b", "c", "a", "b", "c"]);

    storage.incarnation = undefined;
    storage.trustAfterMs = 20;
    await accept(["d"]);
    await until("the known queue is sent to all the same", () => spool.counters().delivered === 7);
    const looks = spool.counters().released;
    await accept(["e"]);
    await until("that, too", () => spool.counters().delivered === 8);
    expect([store.tasks.length, looks, spool.counters().released]).toEqual([5, 0, 0]);
    storage.incarnation = { id: "two", persistence: "aof" };
    await empty();
    expect(spool.counters()).toMatchObject({ replayed: 3, released: 5 });
  });

  it("sends again what comes before a task that was under way when the incarnation changed, and did not get through", async () => {
    const { storage, spool, accept, empty } = open();
    storage.trustAfterMs = 2_000;
    await accept(["a", "b"]);
    await until("both are answered for", () => spool.counters().delivered === 2);

    const enqueue = storage.enqueue.bind(storage);
    let fail: (() => void) | undefined;
    storage.enqueue = () => new Promise((_, reject) => (fail = () => reject(away())));
    await accept(["c"]);
    await until("it is under way", () => fail !== undefined);
    storage.incarnation = { id: "two", persistence: "aof" };
    await until("the others are to be sent again", () => spool.counters().replayed === 2);
    storage.enqueue = enqueue;
    const pass = storage.answer;
    storage.answer = (task) => (task.message.queue === "default" ? away() : pass(task));
    fail!();
    await accept([newTask({ id: "other", queue: "other" })]);
    await until("the other queue went on", () => spool.counters().delivered === 3);
    storage.answer = pass;

    await until("all are answered for", () => spool.counters().delivered === 6);
    expect(storage.sent.filter((id) => id === "a" || id === "b")).toEqual(["a", "b", "a", "b"]);
    storage.trustAfterMs = 20;
    await empty();
  });

  it("does not send again what is released while the store is read", async () => {
    const { store, storage, spool, accept } = open();
    const read = store.read.bind(store);
    const release = store.release.bind(store);
    let goOn = () => {};
    const gate = new Promise<void>((resolve) => (goOn = resolve));
    storage.trustAfterMs = 60_000;
    await accept([newTask({ id: "a", queue: "changing" }), newTask({ id: "b", queue: "lasting" })]);
    await until("both are answered for", () => spool.counters().delivered === 2);
    let reads = 0;
    let releases = 0;
    store.read = async (after, limit) => {
      const rows = await read(after, limit);
      reads += rows.length;
      await gate;
      return rows;
    };
    store.release = async (ended) => {
      releases += ended.length;
      await gate;
      return release(ended);
    };

    storage.incarnations = async (queues) =>
      queues.map((queue) => ({ id: queue === "changing" ? "two" : "one", persistence: "aof" }));
    await until("both are read again", () => reads === 2);
    storage.trustAfterMs = 20;
    await until("one is released meanwhile", () => releases === 1);
    goOn();
    await until("both have left", () => store.tasks.length === 0);

    expect(storage.sent).toEqual(["a", "b", "a"]);
  });

  it("takes no answer that came while the incarnation changed", async () => {
    const { storage, spool, accept, empty } = open();
    await accept(["first"]);
    await empty();
    let changed = false;
    storage.answer = ({ message: { id } }) => {
      if (id === "b" && !changed) {
        changed = true;
        storage.incarnation = { id: "two", persistence: "aof" };
      }
      return { status: "enqueued", id, state: "pending" };
    };
    await accept(["a", "b"]);
    await empty();
    expect(storage.sent).toEqual(["first", "a", "b", "a", "b"]);
    expect(spool.counters()).toMatchObject({ released: 3 });
  });

  it("takes an id that is there for the task's own when type and payload are the same", async () => {
    const { store, storage, accept, empty } = open();
    storage.stored.set(
      "order-1",
      newTask({ id: "order-1", type: "pay", payload: Buffer.from("5"), retried: 2 }).message,
    );
    storage.stored.set("order-2", newTask({ id: "order-2", type: "pay", payload: Buffer.from("6") }).message);
    storage.answer = ({ message: { id } }) => ({ status: "idTaken", id });
    const pay = (id: string) => newTask({ id, type: "pay", payload: Buffer.from("5") });
    await accept([pay("order-1"), pay("order-2"), pay("order-3")]);
    await empty();
    expect([...store.ended.values()]).toEqual([
      { status: "enqueued", id: "order-1", state: "retry" },
      { status: "idTaken", id: "order-2" },
      { status: "idTaken", id: "order-3" },
    ]);
  });

  it("tells of a duplicate at once while the first one waits, and leaves it to storage afterwards", async () => {
    const { store, storage, accept, empty } = open();
    storage.answer = () => away();
    const nowMs = storage.clock.nowMs();
    const unique = (id: string) => newTask({ id, uniqueKey: "lock" }, { uniqueForMs: 10_000 });
    expect(await accept([unique("a"), unique("b"), unique("a")], nowMs)).toEqual([
      { status: "spooled", id: "a" },
      { status: "duplicate", id: "a" },
      { status: "spooled", id: "a" },
    ]);
    expect(await accept([unique("c")], nowMs + 9_999)).toEqual([{ status: "duplicate", id: "a" }]);
    expect(await accept([unique("d")], nowMs + 10_000)).toEqual([{ status: "spooled", id: "d" }]);
    storage.answer = ({ message: { id } }) =>
      id === "d" ? { status: "duplicate", id: "a" } : { status: "enqueued", id, state: "pending" };
    await empty();
    expect(store.ended.get("d")).toEqual({ status: "duplicate", id: "a" });
    expect(await accept([unique("e")], nowMs + 10_001)).toEqual([{ status: "spooled", id: "e" }]);
  });

  it("keeps locks for what is left of their time, and the times that tasks are to run at", async () => {
    const { storage, accept, empty } = open();
    const nowMs = storage.clock.nowMs();
    const lock = (id: string, uniqueForMs: number) =>
      newTask({ id, uniqueKey: `lock of ${id}`, deadlineMs: 7_000 }, { uniqueForMs, processAtMs: nowMs + 5_000 });
    await accept(
      [lock("long", 60_000), lock("short", 30_400), lock("over", 29_000), newTask({ id: "none" })],
      nowMs - 30_000,
    );
    await empty();
    const [long, short, over, none] = storage.calls.flat();
    expect(long!.uniqueForMs).toBeGreaterThan(25_000);
    expect(long!.uniqueForMs).toBeLessThanOrEqual(30_000);
    expect([short!.uniqueForMs, short!.message.uniqueKey]).toEqual([1_000, "lock of short"]);
    expect([over!.uniqueForMs, over!.message.uniqueKey]).toEqual([0, ""]);
    expect([none!.uniqueForMs, none!.processAtMs]).toEqual([0, 0]);
    expect([over!.processAtMs, over!.message.deadlineMs]).toEqual([nowMs + 5_000, 7_000]);
  });

  it("delivers what another process left behind, and lets nothing of its queue overtake it", async () => {
    const { store, storage, spool, accept, empty } = open();
    await accept(["own"]);
    await empty();
    storage.answer = () => away();
    await store.adopt([newTask({ id: newId(1), queue: "left" })], 1);
    await until("it was tried", () => storage.calls.length > 1);
    expect([spool.holds("left"), spool.holds("default")]).toEqual([true, false]);
    storage.answer = ({ message: { id } }) => ({ status: "enqueued", id, state: "pending" });
    await empty();
    expect(storage.stored.size).toBe(2);
    await until("nothing is held", () => !spool.holds("left"));
  });

  it("has storage remember finished tasks for as long as it may send them again", async () => {
    const { storage, accept } = open({ trustAfterMs: 60_000, afterSave: true });
    storage.incarnation = { id: "one", persistence: "snapshot" };
    await accept(["a"]);
    await until("it was sent", () => storage.sent.length === 1);
    storage.incarnation = { id: "two", persistence: "aof" };
    await until("it was sent again", () => storage.sent.length === 2);
    expect(storage.calls.flat().map(({ spooled }) => spooled)).toEqual([8_160_000, 960_000]);
  });

  it("warns where it is to trust storage sooner than storage keeps what it takes, and not where it waits as long", async () => {
    const warned = async (trustAfterMs: number) => {
      const sentences: string[] = [];
      const log = {
        ...silent,
        warn: (fields: object, sentence: string) => sentences.push(JSON.stringify(fields), sentence),
      };
      const { storage, spool, accept } = open({ trustAfterMs, log });
      storage.trustAfterMs = 60;
      await accept(["a"]);
      await until("it is answered for", () => spool.counters().delivered === 1);
      return sentences;
    };

    expect(await warned(20)).toEqual([
      '{"trustAfterMs":20,"advisedMs":60}',
      expect.stringContaining("trustAfter is shorter than this Redis may take to lose what it acknowledged"),
    ]);
    expect(await warned(60)).toEqual([]);
  });

  it("keeps to a rate where it is given one", async () => {
    const { accept, empty } = open({ maxPerSecond: 1_000 });
    const startMs = performance.now();
    await accept(ids(400));
    await empty();
    expect(performance.now() - startMs).toBeGreaterThan(290);
  });

  it("sends few at a time to a storage that is in trouble, and tells how each call to it fares", async () => {
    const { storage, spool, accept, empty } = open();
    const troubled = new Set(["default"]);
    const heard: string[] = [];
    spool.tell({
      call: async (queue, tasks, work) => {
        const answer = await work();
        heard.push(`${queue}: ${tasks}`);
        return answer;
      },
      doubt: (queue) => void heard.push(`in doubt about ${queue}`),
      isDegraded: (queue) => troubled.has(queue),
    });

    await accept(ids(100));
    await empty();
    expect(storage.calls.map(({ length }) => length)).toEqual([32, 32, 32, 4]);
    troubled.clear();
    await accept(ids(300, "b"));
    await empty();
    expect(heard.slice(4)).toEqual(["default: 300"]);

    storage.incarnation = undefined;
    await accept([newTask({ id: "new", queue: "new" })]);
    await until("nothing can be sent, and it says so", () => heard.includes("in doubt about new"));
  });

  it("calls a task a duplicate only of one that was accepted", async () => {
    const { store, accept } = open();
    const append = store.append.bind(store);
    let appends = 0;
    store.append = async (...given) => {
      appends += 1;
      if (appends === 1) throw new Error("the disk is full");
      return append(...given);
    };
    const unique = (id: string) => newTask({ id, uniqueKey: "lock" }, { uniqueForMs: 60_000 });
    const [one, two, three] = await Promise.allSettled(["a", "b", "c"].map((id) => accept([unique(id)])));
    expect(one).toMatchObject({ reason: { message: "the disk is full" } });
    expect(two).toMatchObject({ value: [{ status: "spooled", id: "b" }] });
    expect(three).toMatchObject({ value: [{ status: "duplicate", id: "b" }] });
  });

  it("leaves in its store what is not delivered when it is closed", async () => {
    const { store, storage, spool, accept } = open();
    storage.answer = () => away();
    await accept(["a"]);
    await spool.close();
    expect(store.tasks).toHaveLength(1);
    await expect(accept(["b"])).rejects.toMatchObject({ code: "CLOSED" });
    await expect(spool.stats()).rejects.toMatchObject({ code: "CLOSED" });
  });
});
