import { describe, expect, it } from "vitest";
import {
  breakerEvents,
  clientOn,
  failure,
  openBreaker,
  ping,
  put,
  ScriptedStorage,
} from "../../test/support/scripted-storage.js";
import { until } from "../../test/support/until.js";

describe("a client without a spool, while storage is away", () => {
  it("tries again until the timeout, then sends nothing until a ping is answered", async () => {
    const storage = new ScriptedStorage();
    const client = clientOn(storage);
    await openBreaker(client, storage);
    const calls = storage.calls.length;

    const startedAt = performance.now();
    const error = await failure(client.enqueue(ping({ n: 1 }, { id: "mine" })));

    expect(error).toMatchObject({ code: "BROKER_UNAVAILABLE", data: { outcome: "notSent", taskIds: ["mine"] } });
    expect(performance.now() - startedAt).toBeGreaterThan(250);
    expect(performance.now() - startedAt).toBeLessThan(800);
    expect(storage.calls.length).toBe(calls);
    expect(storage.pings).toBeGreaterThan(0);
  });

  it("brings what waits as soon as storage is back", async () => {
    const storage = new ScriptedStorage();
    const client = clientOn(storage, { timeout: "20s" });
    await openBreaker(client, storage);
    const events = breakerEvents(storage);

    const receipts = Promise.all([1, 2, 3].map((n) => put(client, n)));
    await until("they wait", () => client.health().waiting === 3);
    storage.weather = "fair";
    const backAt = performance.now();

    expect((await receipts).map(({ status }) => status)).toEqual(["enqueued", "enqueued", "enqueued"]);
    expect(performance.now() - backAt).toBeLessThan(1_000);
    expect(events.at(-1)).toBe("closed");
    expect(client.health()).toEqual({
      storage: [{ broker: storage.label, shard: "", state: "closed", reason: "" }],
      waiting: 0,
    });
  });

  it("lets ten thousand wait, and fails at once what comes after them", async () => {
    const storage = new ScriptedStorage();
    const client = clientOn(storage, { timeout: "1s" });
    await openBreaker(client, storage);

    const many = failure(client.enqueueAll(Array.from({ length: 10_000 }, (_, n) => ping({ n }))));
    await until("many wait", () => client.health().waiting >= 5_000);
    const others = failure(client.enqueueAll(Array.from({ length: 5_000 }, (_, n) => ping({ n }))));
    await until("ten thousand wait", () => client.health().waiting === 10_000);
    const startedAt = performance.now();
    const error = await failure(put(client));

    expect(error).toMatchObject({ code: "BROKER_UNAVAILABLE", data: { outcome: "notSent" } });
    expect(performance.now() - startedAt).toBeLessThan(200);
    await Promise.all([many, others]);
  });

  it("goes on calling a storage that refuses to write, and is told to be degraded", async () => {
    const storage = new ScriptedStorage();
    const client = clientOn(storage);
    const events = breakerEvents(storage);
    storage.weather = "refusing";

    expect(await failure(put(client))).toMatchObject({ data: { outcome: "refused" } });

    expect(storage.calls.length).toBeGreaterThan(2);
    expect(client.health().storage[0]).toMatchObject({ state: "degraded", reason: "cut" });
    expect(events).toEqual(["degraded"]);
  });

  it("probes no more once the broker is closed", async () => {
    const storage = new ScriptedStorage();
    const client = clientOn(storage);
    await openBreaker(client, storage);
    storage.close();

    await expect(put(client)).rejects.toMatchObject({ code: "CLOSED" });
    expect(client.health().storage[0]!.state).toBe("closed");
  });
});

describe("a client of a storage in parts", () => {
  it("goes on with the others while one is away, and probes that one", async () => {
    const storage = new ScriptedStorage({ parts: true });
    const client = clientOn(storage);
    const events = breakerEvents(storage);
    storage.away.add("b");
    for (let n = 0; n < 3; n++) await failure(client.enqueue(ping({ n }, { queue: "b" }), { timeout: "20ms" }));
    await until("the breaker of b is open", async () => {
      await failure(client.enqueue(ping({ n: 0 }, { queue: "b" }), { timeout: "50ms" }));
      return events.includes("node of b: open");
    });

    const [a, b] = await Promise.allSettled([
      client.enqueue(ping({ n: 1 }, { queue: "a" })),
      client.enqueue(ping({ n: 2 }, { queue: "b" })),
    ]);
    expect([a.status, b.status]).toEqual(["fulfilled", "rejected"]);

    storage.away.clear();
    await client.enqueue(ping({ n: 3 }, { queue: "b" }));
    expect(events.filter((one) => one.startsWith("node of a"))).toEqual([]);
    expect(client.health().storage.map(({ shard, state }) => [shard, state])).toEqual([
      ["node of b", "closed"],
      ["node of a", "closed"],
    ]);
  });

  it("says of a list of which some are in that the outcome is unknown, and names them all", async () => {
    const storage = new ScriptedStorage({ parts: true });
    const client = clientOn(storage);
    storage.away.add("b");

    const error = await failure(
      client.enqueueAll([ping({ n: 1 }, { queue: "a", id: "1" }), ping({ n: 2 }, { queue: "b", id: "2" })]),
    );

    expect(error).toMatchObject({
      code: "BROKER_UNAVAILABLE",
      data: { outcome: "unknown", taskIds: ["1", "2"] },
    });
  });
});
