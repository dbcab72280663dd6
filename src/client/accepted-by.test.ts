import { describe, expect, it } from "vitest";
import { MemorySpool } from "../../test/support/memory-spool.js";
import { clientOn, failure, ping, put, ScriptedStorage } from "../../test/support/scripted-storage.js";
import type { Producing } from "../broker/broker.js";
import { Client } from "./client.js";

describe("what a task is accepted by", () => {
  it("is asked of storage: all replicas, at least one; fsynced, with replicas only where they are named", async () => {
    const storage = new ScriptedStorage();
    const client = clientOn(storage, { accept: "replicas" });

    await put(client);
    await client.enqueue(ping({ n: 1 }), { accept: "fsync" });
    await client.enqueue(ping({ n: 1 }), { accept: "fsync", replicas: 1 });
    await client.enqueue(ping({ n: 1 }), { accept: "redis" });

    expect(storage.assurances).toEqual([
      { of: "replicas", replicas: 1 },
      { of: "fsync", replicas: 0 },
      { of: "fsync", replicas: 1 },
    ]);
  });

  it("may take half of the timeout where there is a spool, which has the other half", async () => {
    const storage = new ScriptedStorage({ spool: new MemorySpool() });
    const client = clientOn(storage, { timeout: "5s" });

    await put(client);
    await client.enqueue(ping({ n: 1 }), { timeout: "600ms" });
    await client.enqueue(ping({ n: 1 }), { accept: "fsync" });

    const [usual, hasty, fsync] = storage.within;
    expect([usual, Math.ceil(hasty! / 100), Math.ceil(fsync! / 500)]).toEqual([501, 3, 5]);
  });

  it("says how many have confirmed when those are too few; that opens no breaker for what needs none", async () => {
    const storage = new ScriptedStorage();
    const client = clientOn(storage, { timeout: "100ms" });
    for (let n = 0; n < 5; n++) {
      const error = await failure(client.enqueue(ping({ n }), { accept: "replicas", replicas: 2 }));
      expect(error).toMatchObject({ data: { outcome: "unknown", acknowledged: { replicas: 1, wanted: 2 } } });
    }

    expect((await put(client)).status).toBe("enqueued");
    expect(client.health().storage[0]!.state).not.toBe("open");
  });

  it.each([
    [{ accept: "spool" }, "accept"],
    [{ whenDown: "spool" }, "whenDown"],
    [{ accept: "disk" }, "accept"],
    [{ replicas: -1 }, "replicas"],
    [{ timeout: "1ms" }, "timeout"],
    [{ maxPayloadBytes: 5 }, "maxPayloadBytes"],
  ])("%j is refused where it cannot be, or is no such thing", async (options, option) => {
    const storage = new ScriptedStorage();

    await expect(new Client(storage).enqueue(ping({ n: 1 }), options as never)).rejects.toMatchObject({
      code: "OPTION_INVALID",
      data: { option: `enqueue.${option}` },
    });
    expect(storage.calls).toEqual([]);
  });

  it("must be possible: a broker that confirms nothing takes no such client", () => {
    const storage: Producing = { ...new ScriptedStorage(), enqueue: async () => [], ping: async () => {} };

    expect(() => new Client(storage, { accept: "fsync" })).toThrow(
      expect.objectContaining({ code: "OPTION_INVALID", data: expect.objectContaining({ option: "Client.accept" }) }),
    );
  });
});
