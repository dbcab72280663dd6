import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, expect, it } from "vitest";
import { silent } from "../../src/core/log.js";
import { Client, type ClientOptions, connect, defineTask } from "../../src/index.js";
import { aclRule } from "../../src/ops/index.js";
import { describeRedis, RedisServer } from "../support/redis-server.js";
import { until } from "../support/until.js";

const work = defineTask<{ n: number }>("work");
const cleanup: (() => unknown)[] = [];

afterEach(async () => {
  // oxlint-disable-next-line no-await-in-loop -- the last opened is the first to go
  for (const one of cleanup.splice(0).toReversed()) await one();
});

/** A client with a spool that goes on enqueueing, and what its breaker was at each look. */
async function busy({ url }: RedisServer, options: ClientOptions) {
  const directory = mkdtempSync(join(tmpdir(), "holdfast-breaker-"));
  cleanup.push(() => rmSync(directory, { recursive: true, force: true }));
  const broker = connect(url, { log: silent, spool: { directory, trustAfter: "1s" } });
  cleanup.push(() => broker.close());
  const client = new Client(broker, { timeout: "2s", ...options });
  await client.enqueue(work({ n: 0 }), { timeout: "10s" });
  const seen: string[] = [];
  const stopped = new AbortController();
  const going = (async () => {
    while (!stopped.signal.aborted) {
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      await Promise.all([client.enqueue(work({ n: 1 })).catch(() => {}), sleep(10)]);
      const { state } = client.health().storage[0]!;
      if (seen.at(-1) !== state) seen.push(state);
    }
  })();
  cleanup.push(async () => {
    stopped.abort();
    await going;
  });
  return { broker, seen, state: () => client.health().storage[0]! };
}

const faults = {
  async OOM({ admin }: RedisServer) {
    const used = Number(/used_memory:(\d+)/.exec(await admin.info("memory"))![1]);
    await admin.config("SET", "maxmemory-policy", "noeviction");
    await admin.config("SET", "maxmemory", String(used - 600_000));
    return () => admin.config("SET", "maxmemory", "0");
  },
  async NOREPLICAS({ admin }: RedisServer) {
    await admin.config("SET", "min-replicas-to-write", "1");
    return () => admin.config("SET", "min-replicas-to-write", "0");
  },
};

describeRedis("the circuit breaker, while Redis refuses to write", () => {
  it.each<[keyof typeof faults, ClientOptions]>([
    ["OOM", { accept: "spool" }],
    ["OOM", { whenDown: "spool" }],
    ["OOM", { whenDown: "fail", timeout: "300ms" }],
    ["NOREPLICAS", { accept: "spool" }],
  ])("is degraded all the time, though a ping is answered: %s, %j", async (fault, options) => {
    await using server = await RedisServer.start({ config: { appendonly: "yes" } });
    const { broker, seen, state } = await busy(server, options);

    const heal = await faults[fault](server);
    await until("it is degraded", () => state().state === "degraded");
    await sleep(1_000);
    expect(state()).toMatchObject({ state: "degraded", reason: expect.stringContaining(fault) as string });
    await heal();
    await until("it is closed", () => state().state === "closed");

    expect(seen.filter((one) => one === "degraded")).toHaveLength(1);
    expect(seen).not.toContain("open");
    expect(broker.tally).toMatchObject({ breakerDegraded: 1, breakerOpened: 0 });
  });
});

describeRedis("the circuit breaker of a client that accepts into the spool", () => {
  it("opens when Redis is killed, though only the spool calls it, and closes when it is back", async () => {
    await using server = await RedisServer.start({ config: { appendonly: "yes" } });
    const { broker, seen, state } = await busy(server, { accept: "spool" });

    await server.kill();
    await until("it is open", () => state().state === "open", 10_000);
    await server.start();
    await until("it is closed", () => state().state === "closed");
    await until("all is delivered", () => broker.tally!.delivered >= broker.tally!.spooled);

    expect(seen[0]).toBe("closed");
    expect(broker.tally!.breakerOpened).toBe(1);
  });

  it("opens also where Redis was never there, and nothing can be sent", async () => {
    await using server = await RedisServer.start();
    await server.kill();

    const { state, seen } = await busy(server, { accept: "spool" });
    await until("it is open", () => state().state === "open", 10_000);

    expect(seen).not.toContain("degraded");
  });
});

describeRedis("the breaker's probe", () => {
  it("has all the rights that it needs of a producer, and leaves nothing behind for long", async () => {
    await using server = await RedisServer.start({ config: { appendonly: "yes" } });
    const [, , ...rule] = aclRule("producer", { queues: ["default"], extras: ["spool"] }).split(" ");
    await server.admin.call("ACL", "SETUSER", "producer", ...rule, "on", ">secret");
    await using broker = connect(server.url.replace("redis://", "redis://producer:secret@"), { log: silent });

    await broker.probe!("default");

    expect(await server.admin.pttl("holdfast:{default}:barrier")).toBeGreaterThan(1_000);
    expect(await server.admin.call("ACL", "LOG")).toEqual([]);
    // Who may not write there is answered, too: that says nothing of the server.
    await broker.probe!("another");
  });
});
