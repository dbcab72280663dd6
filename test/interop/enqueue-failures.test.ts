import { afterAll, beforeAll, beforeEach, expect, it } from "vitest";
import type { Broker } from "../../src/broker/broker.js";
import { redisBroker } from "../../src/redis/index.js";
import { newTask } from "../support/builders.js";
import { describeRedis, RedisServer } from "../support/redis-server.js";

const nowMs = Date.now();

describeRedis("an enqueue that fails", () => {
  let server: RedisServer;
  let broker: Broker;

  beforeAll(async () => {
    server = await RedisServer.start({
      config: { user: "app on >pw +@all ~asynq:queues ~asynq:{mine}:* ~holdfast:*" },
    });
  });
  afterAll(async () => {
    await server.stop();
  });
  beforeEach(async () => {
    await server.admin.flushall();
  });

  it("in part has an unknown outcome, and names all whose receipt is lost", async () => {
    broker = redisBroker({ url: server.url.replace("//", "//app:pw@") });
    const tasks = [newTask({ id: "a", queue: "mine" }), newTask({ id: "b", queue: "theirs" })];

    await expect(broker.enqueue(tasks, nowMs)).rejects.toMatchObject({
      code: "BROKER_UNAVAILABLE",
      data: { outcome: "unknown", taskIds: ["a", "b"], problem: expect.stringMatching(/^NOPERM/) },
    });
    expect(await server.admin.lrange("asynq:{mine}:pending", 0, -1)).toEqual(["a"]);

    // What is not in, is not in.
    const again = [newTask({ id: "a", queue: "mine" }), newTask({ id: "c", queue: "theirs" })];
    await expect(broker.enqueue(again, nowMs)).rejects.toMatchObject({
      data: { outcome: "refused", taskIds: ["c"] },
    });
    await broker.close();
  });

  it("does so in the time that its caller has", async () => {
    broker = redisBroker({ url: server.url, timeout: "8s" });
    const connected = redisBroker({ url: server.url, timeout: "8s" });
    await connected.ping();
    server.freeze();
    const startedMs = performance.now();

    const failures = [broker, connected].map((one) =>
      one.enqueue([newTask({ id: "a" })], one.clock.nowMs(), 200).catch((error: unknown) => error),
    );

    expect(await Promise.all(failures)).toMatchObject([
      { code: "BROKER_UNAVAILABLE", data: { outcome: "notSent", taskIds: ["a"] } },
      { code: "BROKER_UNAVAILABLE", data: { outcome: "unknown", taskIds: ["a"] } },
    ]);
    expect(performance.now() - startedMs).toBeLessThan(4_000);
    server.thaw();
    await Promise.all([broker.close(), connected.close()]);
  });
});
