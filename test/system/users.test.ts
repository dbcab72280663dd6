import { afterAll, beforeAll, expect, it } from "vitest";
import { Client, connect, defineTask, fixed, Worker } from "../../src/index.js";
import { describeRedis, RedisServer } from "../support/redis-server.js";
import { until } from "../support/until.js";
import { usersInGuide } from "../support/users-in-guide.js";

describeRedis("users with as few rights as the guide gives them, over TLS", () => {
  let server: RedisServer;
  const warnings: string[] = [];
  const log = { debug() {}, info() {}, error: told, warn: told };
  function told(fields: object, sentence: string): void {
    warnings.push(`${sentence} ${JSON.stringify(fields)}`);
  }

  beforeAll(async () => {
    server = await RedisServer.start({ tls: true, config: { user: usersInGuide() } });
  });
  afterAll(() => server.stop());

  const as = (username: string) =>
    connect(server.url, { username, password: "secret", tls: { ca: server.certificates!.caText }, log });

  it("put tasks there and work on them, and nothing is denied", async () => {
    const job = defineTask("job", { retry: fixed("1s"), maxRetry: 1 });
    await using producer = as("producer");
    await using at = as("worker");
    const client = new Client(producer, { maxPending: 1_000 });
    let runs = 0;
    const worker = new Worker(at, { concurrency: 2, leaseDuration: "5s", log });
    worker.handle(job, async () => {
      runs++;
      if (runs === 1) await new Promise((resolve) => setTimeout(resolve, 3_000));
      if (runs === 2) throw new Error("once more");
    });
    await worker.start();

    await client.enqueue(job());
    await client.enqueue(job(undefined, { unique: "1m" }));
    await client.enqueue(job(undefined, { processIn: "1s" }));
    await until("all have run, one twice", () => worker.counters().completed === 3, 20_000);
    await worker.stop();

    expect(runs).toBe(4);
    const denied = (await server.admin.call("ACL", "LOG")) as string[][];
    expect(denied.map((entry) => entry[7])).toEqual(["info"]);
    expect(
      warnings.filter((warning) => !warning.includes("INFO is not allowed") && !warning.includes("once more")),
    ).toEqual([]);
  });

  it("are kept from what is not theirs", async () => {
    await using producer = as("producer");
    await new Client(producer).enqueue(defineTask("job")(undefined, { queue: "theirs" }));
    const lease = { workerId: "w", requestId: "r", queues: ["theirs"], limit: 1, leaseMs: 5_000, suspects: 0 };

    for (const call of [
      () => producer.list({ queue: "theirs", state: "pending" }, { limit: 1 }),
      () => producer.exchange({ settle: [], lease }, producer.clock.nowMs()),
    ]) {
      await expect(call()).rejects.toThrow(/can't run this command|has no permissions/);
    }
  });
});
