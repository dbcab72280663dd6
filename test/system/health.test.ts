import { afterEach, expect, it } from "vitest";
import { silent } from "../../src/core/log.js";
import { healthServer, type HealthServer } from "../../src/http/index.js";
import { Client, connect, defineTask, Worker, type WorkerHealth } from "../../src/index.js";
import { testBroker } from "../../src/testing/index.js";
import { FaultProxy } from "../support/fault-proxy.js";
import { describeRedis, RedisServer } from "../support/redis-server.js";
import { until } from "../support/until.js";

let server: HealthServer | undefined;
afterEach(() => server?.close());

async function ask(path: string, method = "GET") {
  const response = await fetch(`http://127.0.0.1:${server!.port}${path}`, { method });
  return { status: response.status, text: await response.text() };
}
const statuses = async () => [(await ask("/healthz")).status, (await ask("/readyz")).status];

describeRedis("a worker's health", () => {
  it("tells a Redis that is down from a worker that is stuck, and says since when", async () => {
    await using redis = await RedisServer.start();
    await using proxy = await FaultProxy.to(redis.port);
    await using broker = connect(proxy.url);
    const task = defineTask("held");
    let end = () => {};
    const worker = new Worker(broker, { leaseDuration: "5s", log: silent }).handle(task, () => {
      return new Promise<void>((resolve) => (end = resolve));
    });
    server = await healthServer(worker, { port: 0 });
    expect(worker.health()).toMatchObject({ state: "new", lastTurnAtMs: undefined });
    expect(await statuses()).toEqual([200, 503]);

    await worker.start();
    await new Client(broker).enqueue(task());
    await until("it runs a task", () => worker.health().running === 1);
    const startedAtMs = worker.health().oldestStartedAtMs!;
    expect(Math.abs(startedAtMs - broker.clock.nowMs())).toBeLessThan(2_000);
    expect(await statuses()).toEqual([200, 200]);

    const before = broker.clock.nowMs();
    await proxy.refuse();
    end();
    await until("storage is down", () => worker.health().state === "storage-down");
    await until("the outcome waits", () => worker.health().unsettled === 1);
    expect(worker.health().sinceMs).toBeGreaterThanOrEqual(before);
    expect(worker.health().problem).toMatch(/ECONNREFUSED|closed by the other side|reset/i);
    expect(await statuses()).toEqual([200, 503]);
    expect(JSON.parse((await ask("/readyz")).text)).toMatchObject({
      workers: [{ state: "storage-down", running: 0, unsettled: 1 }],
    });

    await proxy.listen();
    await until("it works again", () => worker.health().state === "running");
    await until("the outcome is settled", () => worker.health().unsettled === 0);
    expect(worker.counters()).toMatchObject({ completed: 1, leaseLost: 0 });
    expect(await statuses()).toEqual([200, 200]);

    await worker.stop();
    expect(worker.health().state).toBe("stopped");
    expect(await statuses()).toEqual([200, 503]);
  });
});

it("a worker whose broker was closed says that it is stuck, and says it once", async () => {
  const broker = testBroker();
  const told: unknown[] = [];
  const tell = (_fields: object, text: string) => void told.push(text);
  const worker = new Worker(broker, { pollInterval: "100ms", log: { ...silent, warn: tell, error: tell } });
  await worker.start();
  await broker.close();

  await until("it says so", () => worker.health().state === "stuck");
  expect(worker.health().problem).toMatch("the broker was closed");
  // Promotion and pruning would have failed by now.
  await new Promise((resolve) => setTimeout(resolve, 1_500));
  expect(told).toEqual(["the broker was closed under a running worker: stop the worker first"]);
  await worker.stop();
  expect(worker.health().state).toBe("stopped");
});

it("one worker that is stuck is enough for both probes", async () => {
  const well = { state: "running", sinceMs: 0, problem: undefined } as WorkerHealth;
  const stuck = { state: "stuck", sinceMs: 0, problem: "a turn with storage got stuck" } as WorkerHealth;
  server = await healthServer([{ health: () => well }, { health: () => stuck }], { port: 0 });

  expect(await statuses()).toEqual([503, 503]);
  expect(JSON.parse((await ask("/healthz?x=1")).text)).toEqual({ workers: [{ state: "running", sinceMs: 0 }, stuck] });
});

it("answers nothing but its two paths, and takes nothing but workers and a place to listen", async () => {
  server = await healthServer({ health: () => ({ state: "running" }) as WorkerHealth }, { port: 0 });

  for (const path of ["/", "/__proto__", "/constructor", "/healthz/", "//healthz"]) {
    expect((await ask(path)).status, path).toBe(404);
  }
  expect((await ask("/healthz", "POST")).status).toBe(405);
  const none = { health: () => ({}) as WorkerHealth };
  await expect(healthServer(none, { port: 0, host: "" })).rejects.toMatchObject({ code: "OPTION_INVALID" });
  await expect(healthServer([], { port: 0 })).rejects.toMatchObject({ code: "OPTION_INVALID" });
  await expect(healthServer([{}] as never, { port: 0 })).rejects.toMatchObject({ code: "OPTION_INVALID" });
  await expect(healthServer(none, { port: server.port })).rejects.toMatchObject({ code: "EADDRINUSE" });
});
