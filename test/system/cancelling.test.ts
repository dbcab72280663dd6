import { afterEach, beforeEach, expect, it } from "vitest";
import {
  Client,
  defineTask,
  fixed,
  HoldfastError,
  type TaskContext,
  Worker,
  type WorkerOptions,
} from "../../src/index.js";
import type { Cancellation } from "../../src/broker/broker.js";
import type { RedisBroker } from "../../src/redis/redis-broker.js";
import { redisBroker } from "../../src/redis/index.js";
import { describeRedis, RedisServer } from "../support/redis-server.js";
import { until } from "../support/until.js";

const job = defineTask("job", { retry: fixed("1h"), timeout: "1h" });
const by = { actor: "ana", reason: "wrong customer", requestId: "r-1" };

describeRedis("cancelling a running task", () => {
  let server: RedisServer;
  let broker: RedisBroker;
  let client: Client;
  let worker: Worker | undefined;

  beforeEach(async () => {
    server = await RedisServer.start({ config: { user: ["deaf on >secret ~* resetchannels +@all"] } });
    broker = redisBroker({ url: server.url }) as RedisBroker;
    client = new Client(broker);
  });
  afterEach(async () => {
    await worker?.stop({ timeout: "0s" });
    await broker.close();
    await server.stop();
  });

  /** Runs one task with this handler, and answers when it has started. */
  async function running(handler: (task: TaskContext) => Promise<void>, options: WorkerOptions = {}, its = broker) {
    let started: TaskContext | undefined;
    worker = new Worker(its, { abortGrace: "100ms", ...options }).handle(job, async (_, task) => {
      started = task;
      await handler(task);
    });
    const { id } = await client.enqueue(job());
    await worker.start();
    await until("it runs", () => started);
    return { id, task: started! };
  }
  const untilAborted = ({ signal }: TaskContext) =>
    new Promise<void>((_, reject) => signal.addEventListener("abort", () => reject(signal.reason as Error)));
  const cancel = (id: string, how: Cancellation) =>
    broker.cancel([{ queue: "default", id }], how, by, broker.clock.nowMs());
  const infoOf = async (id: string) => (await broker.find([{ queue: "default", id }]))[0];

  it.each([
    ["retry", { state: "retry", message: { retried: 1 }, failure: { reason: "cancelled" } }],
    ["archive", { state: "archived", failure: { reason: "cancelled", class: "HoldfastError" } }],
  ] as const)("aborts its handler within a second, and then: %s", async (how, expected) => {
    const { id, task } = await running(untilAborted);
    const { signal } = task;

    expect(await cancel(id, how)).toEqual(["requested"]);

    await until("its signal aborts", () => signal.aborted, 1_000);
    expect(HoldfastError.is(signal.reason, "TASK_CANCELLED") && signal.reason.data).toEqual({ id, how });
    await until("it is settled", async () => (await infoOf(id))?.state !== "active");
    expect(await infoOf(id)).toMatchObject(expected);
    expect(await broker.cancellations([{ queue: "default", id }])).toEqual([undefined]);
  });

  it("abandons a handler that does not listen, after the abort grace", async () => {
    let end = () => {};
    const { id } = await running(() => new Promise((resolve) => (end = resolve)));

    await cancel(id, "archive");

    await until("it is settled", async () => (await infoOf(id))?.state === "archived", 3_000);
    expect((await infoOf(id))?.failure?.reason).toBe("cancelled");
    end();
  });

  it("tries a task again whose id comes bare, as asynq's inspector sends it", async () => {
    const { id } = await running(untilAborted);

    await server.admin.publish("asynq:cancel", "another");
    await server.admin.publish("asynq:cancel", id);

    await until("it is settled", async () => (await infoOf(id))?.state === "retry", 1_000);
    expect((await infoOf(id))?.failure?.reason).toBe("cancelled");
  });

  it("aborts it with the next renewal, when the message is lost", async () => {
    const deaf = redisBroker({
      url: server.url.replace("://", "://deaf:secret@"),
      log: { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} },
    }) as RedisBroker;
    const { id, task } = await running(untilAborted, { leaseDuration: "5s" }, deaf);

    await cancel(id, "archive");

    await until("its signal aborts", () => task.signal.aborted, 5_000);
    await until("it is settled", async () => (await infoOf(id))?.state === "archived");
    expect((await infoOf(id))?.failure?.reason).toBe("cancelled");
    await worker?.stop();
    await deaf.close();
  });

  it("is on record", async () => {
    const { id } = await running(untilAborted);
    await cancel(id, "retry");
    const [[, fields]] = (await server.admin.xrevrange("holdfast:{default}:audit", "+", "-")) as [[string, string[]]];
    expect(fields.join(" ")).toContain(`actor ana reason wrong customer request r-1 verb cancel retry what ["${id}"]`);
  });

  it("leaves no mark on a task that a Go worker runs, which would not take it away", async () => {
    const { id } = await client.enqueue(job());
    await server.admin
      .multi()
      .lrem("asynq:{default}:pending", 1, id)
      .lpush("asynq:{default}:active", id)
      .zadd("asynq:{default}:lease", Math.ceil(Date.now() / 1_000) + 30, id)
      .hset(`asynq:{default}:t:${id}`, "state", "active")
      .exec();
    const heard: string[] = [];
    const listener = server.admin.duplicate();
    listener.on("message", (_, message) => heard.push(message));
    await listener.subscribe("asynq:cancel");

    expect(await cancel(id, "archive")).toEqual(["requested"]);

    await until("its id is published", () => heard.length > 0);
    expect(heard).toEqual([id]);
    expect(await broker.cancellations([{ queue: "default", id }])).toEqual([undefined]);
    listener.disconnect();
  });
});
