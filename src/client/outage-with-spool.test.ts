import { describe, expect, it } from "vitest";
import { MemorySpool } from "../../test/support/memory-spool.js";
import { clientOn, failure, openBreaker, ping, put, ScriptedStorage } from "../../test/support/scripted-storage.js";
import { until } from "../../test/support/until.js";
import { HoldfastError } from "../core/errors.js";

describe("a client with a spool", () => {
  it("spools at once what storage does not take, under the same id, as a repeat only if it may have it", async () => {
    for (const weather of ["away", "refusing", "unknown"] as const) {
      const spool = new MemorySpool();
      const storage = new ScriptedStorage({ spool });
      storage.weather = weather;
      const startedAt = performance.now();

      const receipt = await put(clientOn(storage, { timeout: "5s" }));

      expect(receipt.status).toBe("spooled");
      expect(spool.tasks.map(({ message, repeat }) => [message.id, repeat])).toEqual([
        [receipt.id, weather === "unknown"],
      ]);
      expect(storage.calls.length).toBe(1);
      expect(performance.now() - startedAt).toBeLessThan(500);
    }
  });

  it("does not even try while the breaker is not closed", async () => {
    const spool = new MemorySpool();
    const storage = new ScriptedStorage({ spool });
    const client = clientOn(storage);
    await openBreaker(client, storage);
    const calls = storage.calls.length;

    const receipts = await Promise.all([put(client), put(client)]);

    expect(receipts.map(({ status }) => status)).toEqual(["spooled", "spooled"]);
    expect(storage.calls.length).toBe(calls);
    expect(client.counters()).toMatchObject({ spooled: 2, enqueued: 0 });
  });

  it("puts a queue's new tasks behind those of it that wait, and other queues' to storage", async () => {
    const spool = new MemorySpool();
    const storage = new ScriptedStorage({ spool });
    const client = clientOn(storage);
    storage.weather = "away";
    await put(client, 1);
    storage.weather = "fair";

    const [behind, other] = await Promise.all([put(client, 2), client.enqueue(ping({ n: 3 }, { queue: "other" }))]);
    await spool.deliver(storage);
    const after = await put(client, 4);

    expect([behind.status, other.status, after.status]).toEqual(["spooled", "enqueued", "enqueued"]);
    const order = storage.calls.flat().filter(({ message }) => message.queue === "default");
    expect(order.map(({ message }) => JSON.parse(Buffer.from(message.payload).toString()).n)).toEqual([1, 1, 2, 4]);
  });

  it("tells the spool when storage is back, and not of probes in vain", async () => {
    const spool = new MemorySpool();
    const storage = new ScriptedStorage({ spool });
    await openBreaker(clientOn(storage), storage);
    const { pings } = storage;
    await until("one was in vain", () => storage.pings > pings + 1);
    const inVain = spool.nudges;
    storage.weather = "fair";

    expect(await until("it is nudged", () => spool.nudges)).toBe(1);
    expect(inVain).toBe(0);
  });

  it("accepts here first and calls no storage, when that is asked for", async () => {
    const spool = new MemorySpool();
    const storage = new ScriptedStorage({ spool });

    const receipt = await clientOn(storage).enqueue(ping({ n: 1 }), { accept: "spool" });

    expect([receipt.status, storage.calls.length]).toEqual(["spooled", 0]);
  });

  it("waits for storage all the same when a call says so", async () => {
    const storage = new ScriptedStorage({ spool: new MemorySpool() });
    storage.weather = "away";

    const error = await failure(clientOn(storage).enqueue(ping({ n: 1 }), { whenDown: "fail", timeout: "50ms" }));

    expect(error).toMatchObject({ code: "BROKER_UNAVAILABLE" });
    expect(storage.spool!.tasks).toEqual([]);
  });

  it("takes its spool's answer that has come while the event loop was blocked for longer than the call may take", async () => {
    const spool = new MemorySpool();
    const accept = spool.accept.bind(spool);
    spool.accept = async (tasks) => {
      const answered = new Promise((resolve) => setImmediate(resolve));
      for (const endMs = performance.now() + 50; performance.now() < endMs;);
      await answered;
      return accept(tasks);
    };
    const client = clientOn(new ScriptedStorage({ spool }));

    // After an immediate come timers, and only then the next immediates.
    await new Promise((resolve) => setImmediate(resolve));
    const [receipt] = await client.enqueueAll([ping({ n: 1 })], { accept: "spool", timeout: "10ms" });

    expect(receipt!.status).toBe("spooled");
  });

  it("fails in time with an unknown outcome when the spool does not answer, its disk hanging, say", async () => {
    const spool = new MemorySpool();
    spool.accept = () => new Promise(() => {});
    spool.outcomes = () => new Promise(() => {});
    const storage = new ScriptedStorage({ spool });
    const client = clientOn(storage, { timeout: "100ms" });

    const late = { code: "BROKER_UNAVAILABLE", data: { outcome: "unknown", taskIds: ["slow"] } };
    await expect(client.enqueue(ping({ n: 1 }, { id: "slow" }), { accept: "spool" })).rejects.toMatchObject(late);
    storage.weather = "away";
    await expect(client.enqueue(ping({ n: 1 }, { id: "slow" }))).rejects.toMatchObject(late);
    await expect(client.outcome("slow")).rejects.toMatchObject(late);
  });

  it("says that the spool is full when nothing has the task, and that the outcome is unknown when storage may", async () => {
    const storage = new ScriptedStorage({ spool: new MemorySpool(0) });
    const client = clientOn(storage);
    storage.weather = "away";
    expect(await failure(put(client))).toMatchObject({ code: "SPOOL_FULL" });

    storage.weather = "unknown";
    expect(await failure(put(client))).toMatchObject({
      code: "BROKER_UNAVAILABLE",
      data: { outcome: "unknown" },
      cause: { code: "SPOOL_FULL" },
    });
    expect(client.counters().failed).toBe(2);
  });

  it("does not say of a list that nothing was accepted where storage has some of it and the spool fails or is full", async () => {
    const spool = new MemorySpool(0);
    const storage = new ScriptedStorage({ spool, parts: true });
    storage.away.add("b");
    const list = [ping({ n: 1 }, { queue: "a", id: "1" }), ping({ n: 2 }, { queue: "b", id: "2" })];
    const told = { code: "BROKER_UNAVAILABLE", data: { outcome: "unknown", taskIds: ["1", "2"] } };

    const full = await failure(clientOn(storage).enqueueAll(list));
    spool.accept = () => Promise.reject(new HoldfastError("SPOOL_FAILED", { directory: "memory", problem: "broken" }));
    const broken = await failure(clientOn(storage).enqueueAll(list));

    expect(full).toMatchObject({ ...told, cause: { code: "SPOOL_FULL" } });
    expect(broken).toMatchObject({ ...told, cause: { code: "SPOOL_FAILED" } });
  });

  it.each(["SPOOL_FULL", "SPOOL_FAILED"] as const)(
    "nor with %s of a long list's second part, the first being in",
    async (code) => {
      const spool = new MemorySpool(5_000);
      const accept = spool.accept.bind(spool);
      const failed = new HoldfastError("SPOOL_FAILED", { directory: "memory", problem: "no room" });
      spool.accept = (tasks) =>
        code === "SPOOL_FAILED" && spool.tasks.length > 0 ? Promise.reject(failed) : accept(tasks);
      const client = clientOn(new ScriptedStorage({ spool }));
      const requests = Array.from({ length: 6_000 }, (_, n) => ping({ n }, { id: `${n}` }));

      const error = await failure(client.enqueueAll(requests, { accept: "spool" }));

      expect(spool.tasks).toHaveLength(5_000);
      expect(error).toMatchObject({ code: "BROKER_UNAVAILABLE", data: { outcome: "unknown" }, cause: { code } });
      expect(error!.data.taskIds).toHaveLength(6_000);
    },
  );

  it("nor that nothing was sent when storage goes away behind a long list's first part", async () => {
    const storage = new ScriptedStorage();
    const enqueue = storage.enqueue.bind(storage);
    storage.enqueue = (tasks) => enqueue(tasks).finally(() => (storage.weather = "away"));

    const error = await failure(clientOn(storage).enqueueAll(Array.from({ length: 6_000 }, (_, n) => ping({ n }))));

    expect(storage.calls[0]).toHaveLength(5_000);
    expect(error).toMatchObject({ code: "BROKER_UNAVAILABLE", data: { outcome: "unknown" } });
    expect(error!.data.taskIds).toHaveLength(6_000);
  });

  it("does not say so either where storage has some of it, and could not take one", async () => {
    const spool = new MemorySpool(0);
    const storage = new ScriptedStorage({ spool, parts: true });
    storage.away.add("b");
    const accept = spool.accept.bind(spool);
    const isFull = new Promise<void>((resolve) => {
      spool.accept = (...args) => accept(...args).finally(() => setImmediate(resolve));
    });
    storage.broken.set("a", isFull);

    const error = await failure(
      clientOn(storage).enqueueAll([ping({ n: 1 }, { queue: "a", id: "1" }), ping({ n: 2 }, { queue: "b", id: "2" })]),
    );

    expect(error).toMatchObject({ code: "BROKER_UNAVAILABLE", data: { outcome: "unknown" } });
  });
});
