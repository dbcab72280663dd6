import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterEach, expect, it } from "vitest";
import { defineTask } from "../../src/core/task.js";
import { Client, type ClientOptions, connect, type HoldfastError, Worker } from "../../src/index.js";
import { FaultProxy } from "../support/fault-proxy.js";
import { describeRedis, freePort, RedisServer } from "../support/redis-server.js";
import { until } from "../support/until.js";

const ping = defineTask<{ n: number }>("ping");
const resources: AsyncDisposable[] = [];
const opened = <T extends AsyncDisposable>(resource: T): T => (resources.push(resource), resource);

afterEach(async () => {
  for (const resource of resources.splice(0).toReversed()) await resource[Symbol.asyncDispose]();
});

const clientAt = (url: string, options?: ClientOptions) =>
  new Client(opened(connect(url, { timeout: "400ms" })), options);
async function behindProxy(options?: ClientOptions) {
  const server = opened(await RedisServer.start());
  const proxy = opened(await FaultProxy.to(server.port));
  return { server, proxy, client: clientAt(proxy.url, options) };
}

/** How a call failed, and after how long. */
async function failed(call: () => Promise<unknown>) {
  const startedAt = performance.now();
  const error = await call().then(
    () => undefined,
    (thrown: unknown) => thrown as HoldfastError<"BROKER_UNAVAILABLE">,
  );
  return { code: error?.code, outcome: error?.data.outcome, afterMs: performance.now() - startedAt };
}

async function scriptsRun({ admin }: RedisServer): Promise<number> {
  const stats = await admin.info("commandstats");
  return [...stats.matchAll(/cmdstat_eval\w*:calls=(\d+)/g)].reduce((sum, [, calls]) => sum + Number(calls), 0);
}

describeRedis("an enqueue while Redis is away", () => {
  it("ends within its timeout, whether Redis was there before or never", async () => {
    const nobody = clientAt(`redis://127.0.0.1:${await freePort()}`, { timeout: "1s" });
    const { client, proxy } = await behindProxy({ timeout: "1s" });
    await client.enqueue(ping({ n: 0 }));
    await proxy.refuse();

    const ends = await Promise.all(
      [nobody, client].flatMap((one) => [
        failed(() => one.enqueue(ping({ n: 1 }))),
        failed(() => one.enqueueAll([ping({ n: 2 }), ping({ n: 3 })])),
        failed(() => one.enqueue(ping({ n: 4 }), { timeout: "100ms" })),
      ]),
    );

    for (const { code, outcome } of ends) {
      expect(code).toBe("BROKER_UNAVAILABLE");
      expect(["notSent", "unknown"]).toContain(outcome);
    }
    expect(Math.max(...ends.map(({ afterMs }) => afterMs))).toBeLessThan(1_500);
    await proxy.listen();
  });

  it("ends within its timeout when nothing comes back at all, and does not know", async () => {
    const { client, proxy } = await behindProxy({ timeout: "700ms" });
    await client.enqueue(ping({ n: 0 }));
    proxy.set({ kind: "blackHole" });

    const { outcome, afterMs } = await failed(() => client.enqueue(ping({ n: 1 })));

    expect([outcome, afterMs < 1_200]).toEqual(["unknown", true]);
  });

  it("is carried out within a second of Redis's return, also when Redis was never there before", async () => {
    const server = opened(await RedisServer.start());
    await server.kill();
    const client = clientAt(server.url, { timeout: "30s" });
    const receipts = Promise.all(Array.from({ length: 50 }, (_, n) => client.enqueue(ping({ n }))));
    await until("the breaker is open", () => client.health().storage[0]!.state === "open", 10_000);

    await server.start();
    const backAt = performance.now();

    expect((await receipts).every(({ status }) => status === "enqueued")).toBe(true);
    expect(performance.now() - backAt).toBeLessThan(1_000);
    expect(await server.admin.llen("asynq:{default}:pending")).toBe(50);
  });
});

it("keeps no process alive that has nothing else to do", async () => {
  const script = `
    import { Client, connect, defineTask } from ${JSON.stringify(join(import.meta.dirname, "../../dist/esm/index.js"))};
    const client = new Client(connect("redis://127.0.0.1:${await freePort()}", { timeout: "50ms" }), { timeout: "100ms" });
    while (client.health().storage[0].state === "closed") await client.enqueue(defineTask("ping")()).catch(() => {});
    console.log(client.health().storage[0].state);`;

  const { stdout } = await promisify(execFile)(process.execPath, ["--input-type=module", "-e", script], {
    timeout: 20_000,
  });

  expect(["open\n", "halfOpen\n"]).toContain(stdout);
});

describeRedis("a lost reply", () => {
  it("makes one task of each, also of those that a worker has finished meanwhile", async () => {
    const { server, proxy, client } = await behindProxy({ timeout: "30s" });
    const runs = new Map<string, number>();
    const worker = new Worker(opened(connect(server.url)), { concurrency: 20, pollInterval: "50ms" }).handle(
      ping,
      (_, { id }) => void runs.set(id, (runs.get(id) ?? 0) + 1),
    );
    await worker.start();
    await client.enqueue(ping({ n: -1 }));
    proxy.set({ kind: "dropReplies" });

    const single = Array.from({ length: 20 }, (_, n) => client.enqueue(ping({ n })));
    const list = client.enqueueAll(Array.from({ length: 30 }, (_, n) => ping({ n })));
    await until("all are finished", () => runs.size === 51, 10_000);
    proxy.set({ kind: "pass" });
    const receipts = [...(await Promise.all(single)), ...(await list)];

    expect(new Set(receipts.map((receipt) => JSON.stringify({ ...receipt, id: "" })))).toEqual(
      new Set([JSON.stringify({ status: "enqueued", id: "", state: "completed" })]),
    );
    await worker.stop();
    expect(new Set(receipts.map(({ id }) => id)).size).toBe(50);
    expect([...runs.values()].filter((times) => times !== 1)).toEqual([]);
    expect(runs.size).toBe(51);
    expect(client.counters().resent).toBeGreaterThan(0);
  });

  it("under an id of one's own, repeated by oneself, is one task", async () => {
    const { server, proxy, client } = await behindProxy({ timeout: "500ms" });
    await client.enqueue(ping({ n: 0 }));
    proxy.set({ kind: "dropReplies" });
    const { outcome } = await failed(() => client.enqueue(ping({ n: 1 }, { id: "order-1" })));
    proxy.set({ kind: "pass" });

    // By a connection on which no reply is missing.
    const again = await clientAt(proxy.url).enqueue(ping({ n: 1 }, { id: "order-1" }), { timeout: "5s" });

    expect([outcome, again.status]).toEqual(["unknown", "idTaken"]);
    expect(await server.admin.llen("asynq:{default}:pending")).toBe(2);
  });
});

describeRedis("a call that comes to Redis after its deadline", () => {
  it.each(["redis", "replicas"] as const)('does nothing there (accept "%s")', async (accept) => {
    const { server, proxy, client } = await behindProxy({ accept, replicas: 0, timeout: "600ms" });
    await client.enqueue(ping({ n: 0 }));
    proxy.set({ kind: "hold" });

    expect((await failed(() => client.enqueue(ping({ n: 1 })))).outcome).toBe("unknown");
    const before = await scriptsRun(server);
    proxy.set({ kind: "pass" });
    await until("it has come", async () => (await scriptsRun(server)) > before);

    expect(await server.admin.llen("asynq:{default}:pending")).toBe(1);
  });
});
