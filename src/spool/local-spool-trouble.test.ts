import { describe, expect, it } from "vitest";
import { newTask } from "../../test/support/builders.js";
import { away, failed, ids, localSpools, pace } from "../../test/support/local-spools.js";
import type { MemorySpoolStore } from "../../test/support/memory-spool-store.js";
import { until } from "../../test/support/until.js";
import { HoldfastError } from "../core/errors.js";

/** Answers how many rows have been read from it since. */
function countRead(store: MemorySpoolStore): () => number {
  let rows = 0;
  const read = store.read.bind(store);
  store.read = async (after, limit) => {
    const found = await read(after, limit);
    rows += found.length;
    return found;
  };
  return () => rows;
}

describe("a broker's spool in trouble", () => {
  const open = localSpools();

  it("does not read all that it holds with each outage", async () => {
    const { store, storage, spool, accept, empty } = open();
    const taken = storage.answer;
    storage.answer = () => away();
    const rows = countRead(store);
    await accept(ids(3_000));
    await until("it was tried several times", () => storage.calls.length > 10);

    // One step, and one task for each further try.
    expect(rows()).toBeLessThan(512 + 2 * storage.calls.length);

    storage.answer = taken;
    spool.nudge();
    await empty();
    expect(spool.counters().delivered).toBe(3_000);
  });

  it("holds up nobody for a queue that answers late each time, and reads what it holds about twice", async () => {
    const { store, storage, spool, accept } = open();
    storage.trustAfterMs = 60_000;
    const enqueue = storage.enqueue.bind(storage);
    storage.enqueue = async (tasks) => {
      if (tasks[0]!.message.queue === "late") await new Promise((resolve) => setTimeout(resolve, 270));
      return enqueue(tasks);
    };
    const rows = countRead(store);
    const tasks = ids(3_072).map((id, n) => newTask({ id, queue: n % 2 === 0 ? "late" : "well" }));
    await accept(tasks);
    const well = () => storage.sent.filter((id) => id === "last" || Number(id) % 2 === 1);
    await until("those that are well are there", () => well().length === 1_536);
    await until("the late one has gone on", () => spool.counters().delivered > 1_536 + 512);
    await accept([newTask({ id: "last", queue: "well" })]);
    await until("the last is there", () => well().length === 1_537);
    expect(spool.counters().delivered).toBeLessThan(3_073 - 512);
    await until("all are there", () => spool.counters().delivered === 3_073, 10_000);

    expect(rows()).toBeLessThan(2.5 * tasks.length);
    expect(storage.sent.filter((id) => Number(id) % 2 === 0)).toEqual(ids(3_072).filter((_, n) => n % 2 === 0));
    expect(spool.holds("late")).toBe(false);
  });

  it("waits while storage is away, tells that tasks wait, and comes back with few at first", async () => {
    const { storage, spool, accept, empty } = open();
    storage.answer = () => away();
    await accept(ids(700));
    await until("it tries again", () => storage.calls.length > 5);
    expect(spool.holds("default")).toBe(true);
    expect(await spool.outcomes(["0"])).toEqual([{ status: "spooled", id: "0" }]);
    expect(storage.calls.slice(1).every((call) => call.length === 1 && call[0]!.message.id === "0")).toBe(true);
    storage.calls.splice(0);
    storage.answer = ({ message: { id } }) => ({ status: "enqueued", id, state: "pending" });
    await empty();
    expect(storage.sent).toEqual(ids(700));
    expect(storage.calls.map((call) => call.length)).toEqual([1, 8, 64, 512, 115]);
    await until("nothing waits", () => !spool.holds("default"));
  });

  it("sends again also what stands before the task at which storage went away", async () => {
    const { storage, spool, accept, empty } = open();
    storage.trustAfterMs = 60_000;
    await accept(["a", "b"]);
    await until("they are answered for", () => spool.counters().delivered === 2);
    storage.answer = () => away();
    await accept(["c"]);
    await until("it was tried", () => storage.calls.length > 3);
    storage.incarnation = { id: "two", persistence: "aof" };
    await until("that is seen", () => spool.counters().replayed === 2);
    const tries = storage.calls.length;
    await until("it goes on trying", () => storage.calls.length > tries + 2);
    storage.calls.splice(0);
    storage.trustAfterMs = 20;
    storage.answer = ({ message: { id } }) => ({ status: "enqueued", id, state: "pending" });
    await empty();
    expect(storage.sent.toSorted()).toEqual(["a", "b", "c"]);
  });

  it("nudged, tries at once", async () => {
    const { storage, spool, accept, empty } = open({ pace: { ...pace, awayMs: 60_000, longestAwayMs: 60_000 } });
    storage.answer = () => away("unknown");
    await accept(["a"]);
    await until("it was tried", () => storage.calls.length === 1);
    storage.answer = ({ message: { id } }) => ({ status: "enqueued", id, state: "pending" });
    await until("it waits", () => spool.holds("default"));
    spool.nudge();
    await empty();
    expect(storage.sent).toEqual(["a", "a"]);
  });

  it("holds up no queue for another's trouble, and keeps the order of each", async () => {
    const { storage, spool, accept, empty } = open();
    const queueOf = (id: string) => (Number(id) % 2 === 0 ? "even" : "odd");
    const tasks = ids(40).map((id) => newTask({ id, queue: queueOf(id) }));
    let down = true;
    storage.answer = ({ message: { id } }) =>
      down && queueOf(id) === "odd" ? away() : { status: "enqueued", id, state: "pending" };
    await accept(tasks);
    await until("the others are there", () => spool.counters().released === 20);
    expect([spool.holds("even"), spool.holds("odd")]).toEqual([false, true]);
    await accept([newTask({ id: "100", queue: "even" }), newTask({ id: "101", queue: "odd" })]);
    await until("the next, too", () => spool.counters().released === 21);
    down = false;
    storage.calls.splice(0);
    await empty();
    const odd = [...ids(40), "101"].filter((id) => queueOf(id) === "odd");
    expect([...new Set(storage.sent)]).toEqual(odd);
  });

  it("sets aside what storage cannot take, and parks it at last", async () => {
    const { store, storage, spool, accept, empty } = open();
    storage.answer = ({ message: { id } }) => (id === "7" ? failed() : { status: "enqueued", id, state: "pending" });
    await accept(ids(20));
    await until("the others are there", () => spool.counters().released === 19);
    expect(spool.holds("default")).toBe(false);
    await empty();
    expect(storage.sent.filter((id) => id === "7")).toHaveLength(1 + 4);
    expect(store.ended.get("7")).toMatchObject({ status: "parked", id: "7", problem: expect.stringContaining("key") });
    expect(spool.counters()).toMatchObject({ released: 19, parked: 1 });
  });

  it("goes on while storage takes its time with what was set aside", async () => {
    const { storage, spool, accept } = open();
    let tries = 0;
    let goOn = () => {};
    const hanging = new Promise<void>((resolve) => (goOn = resolve));
    const enqueue = storage.enqueue.bind(storage);
    storage.answer = ({ message: { id } }) => (id === "7" ? failed() : { status: "enqueued", id, state: "pending" });
    storage.enqueue = async (tasks) => {
      if (tasks.length === 1 && tasks[0]!.message.id === "7" && (tries += 1) > 1) await hanging;
      return enqueue(tasks);
    };
    await accept(ids(20));
    await until("it is tried again", () => tries === 2);
    await accept([newTask({ id: "100", queue: "other" })]);
    await until("the other queue is served", () => storage.sent.includes("100"));
    expect(tries).toBe(2);
    goOn();
    await spool.close();
  });

  it("lets a queue wait as a whole of which nothing can be taken", async () => {
    const { storage, spool, accept, empty } = open({
      pace: { ...pace, failedMs: 30, longestFailedMs: 200, parkAfter: 100 },
    });
    let broken = true;
    storage.answer = ({ message: { id, queue } }) =>
      broken && queue === "bad" ? failed() : { status: "enqueued", id, state: "pending" };
    await accept(ids(300).map((id) => newTask({ id, queue: "bad" })));
    await accept(["good"]);
    await until("the other queue is served", () => spool.counters().released === 1);
    expect(spool.holds("bad")).toBe(true);
    broken = false;
    await empty();
    expect(spool.counters()).toMatchObject({ released: 301, parked: 0 });
  });

  it("accepts nothing when storage never tells which data it has, until it does", async () => {
    const { store, storage, accept, empty } = open();
    storage.unfit = new HoldfastError("BROKER_INCOMPATIBLE", { broker: "test", problem: "INFO is forbidden" });
    await expect(accept(["a"])).rejects.toMatchObject({ code: "BROKER_INCOMPATIBLE" });
    expect([storage.calls, store.tasks]).toEqual([[], []]);
    storage.unfit = undefined;
    expect(await accept(["b"])).toEqual([{ status: "spooled", id: "b" }]);
    await empty();
  });

  it("holds up nobody with what it took before it heard that storage never tells which data it has", async () => {
    const { store, storage, spool, accept, empty } = open();
    storage.unfit = away();
    await accept(["a"]);
    expect(spool.holds("default")).toBe(true);
    storage.unfit = new HoldfastError("BROKER_INCOMPATIBLE", { broker: "test", problem: "INFO is forbidden" });
    await until("nothing is held", () => !spool.holds("default"));
    await expect(accept(["b"])).rejects.toMatchObject({ code: "BROKER_INCOMPATIBLE" });
    expect([storage.calls, store.tasks.length]).toEqual([[], 1]);
    storage.unfit = undefined;
    await empty();
    expect(storage.sent).toEqual(["a"]);
  });

  it("lets a parked task's lock go", async () => {
    const { storage, accept, empty } = open();
    const unique = (id: string) => newTask({ id, uniqueKey: "lock" }, { uniqueForMs: 60_000 });
    storage.answer = () => failed();
    await accept([unique("a")]);
    await empty();
    storage.answer = () => away();
    expect(await accept([unique("b")])).toEqual([{ status: "spooled", id: "b" }]);
  });

  it("releases what its file would not let go of the first time", async () => {
    const { store, storage, spool, accept, empty } = open();
    const release = store.release.bind(store);
    let tries = 0;
    store.release = async (ended) => {
      tries += 1;
      if (tries === 1) throw new Error("the disk is full");
      return release(ended);
    };
    await accept(["a"]);
    await empty();
    await until("it is counted", () => spool.counters().released === 1);
    expect([storage.sent, tries]).toEqual([["a"], 2]);
  });
});
