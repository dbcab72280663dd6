import { expect, it } from "vitest";
import { Client, connect, defineTask, HoldfastError, Worker } from "../../src/index.js";
import { newTask } from "../support/builders.js";
import { describeRedis, RedisServer } from "../support/redis-server.js";
import { RespStub } from "../support/resp-stub.js";

const task = defineTask<{ secret: string }>("told");
const payload = { secret: "hunter2" };

/** What the first enqueue says, and how long it took to say so. */
async function firstEnqueue(url: string): Promise<{ error: HoldfastError; tookMs: number }> {
  const broker = connect(url);
  const startedAt = performance.now();
  try {
    await new Client(broker, { timeout: "2s" }).enqueue(task(payload));
  } catch (error) {
    expect(error).toBeInstanceOf(HoldfastError);
    expect(String(error)).not.toContain("hunter2");
    return { error: error as HoldfastError, tookMs: performance.now() - startedAt };
  } finally {
    await broker.close();
  }
  throw new Error("it was taken");
}

describeRedis("a Redis that cannot be used says what to mend", () => {
  it("names host, port and cause of one that is not there, within the client's timeout", async () => {
    const server = await RedisServer.start();
    const { port } = server;
    await server.stop();

    const { error, tookMs } = await firstEnqueue(`redis://127.0.0.1:${port}`);

    expect(error.code).toBe("BROKER_UNAVAILABLE");
    expect(error.data).toMatchObject({ outcome: "notSent" });
    expect(error.message).toContain(`redis://127.0.0.1:${port}`);
    expect(error.message).toContain("ECONNREFUSED");
    expect(tookMs).toBeLessThan(2_500);
  });

  it("tells a wrong password at once, without repeating it", async () => {
    await using server = await RedisServer.start({ config: { requirepass: "right" } });

    const { error, tookMs } = await firstEnqueue(`redis://:wr0ng-one@127.0.0.1:${server.port}`);

    expect(error.code).toBe("BROKER_INCOMPATIBLE");
    expect(error.message).toMatch(/password/);
    expect(error.message).not.toContain("wr0ng-one");
    expect(tookMs).toBeLessThan(1_500);
  });

  it("refuses to start work on a server that may evict tasks, unless that is allowed", async () => {
    await using server = await RedisServer.start({ config: { maxmemory: "50mb", "maxmemory-policy": "allkeys-lru" } });
    const broker = connect(server.url);
    const lenient = connect(server.url, { allowEviction: true });

    await expect(new Worker(broker).start()).rejects.toMatchObject({
      code: "BROKER_INCOMPATIBLE",
      message: expect.stringMatching(/maxmemory-policy is allkeys-lru.*noeviction/),
    });
    await expect(new Client(lenient).enqueue(task(payload))).resolves.toMatchObject({ status: "enqueued" });
    await broker.close();
    await lenient.close();
  });

  it("names the key that is in the way, and goes on where it is not", async () => {
    await using server = await RedisServer.start();
    await server.admin.set("asynq:{bad}:pending", "not a list");
    const broker = connect(server.url);
    const client = new Client(broker);

    const [bad, good] = await Promise.allSettled([
      client.enqueue(task(payload, { queue: "bad" })),
      client.enqueue(task(payload, { queue: "good" })),
    ]);
    const { completed } = await new Worker(broker, { queues: { good: 1 } }).handle(task, () => {}).drain();

    expect(bad).toMatchObject({
      status: "rejected",
      reason: {
        code: "BROKER_FAILED",
        message: expect.stringContaining("asynq:{bad}:pending is a string, not a list"),
      },
    });
    expect(good).toMatchObject({ status: "fulfilled", value: { status: "enqueued" } });
    expect(completed).toBe(1);
    await broker.close();
  });

  it("is not believed further when its answer is none to what was asked, as when answers change places", async () => {
    await using server = await RedisServer.start();
    let connections = 0;
    let misplaced = 0;
    await using stub = await RespStub.before(server.port, (name) => {
      if (name === "CLIENT") connections += 1;
      return name.startsWith("EVAL") && misplaced-- > 0 ? 7 : undefined;
    });
    const broker = connect(stub.url);
    const enqueue = (id: string) => broker.enqueue([newTask({ id })], broker.clock.nowMs());
    await enqueue("a");
    misplaced = 1;

    const doubtful = enqueue("b");

    await expect(doubtful).rejects.toMatchObject({ code: "BROKER_UNAVAILABLE", data: { outcome: "unknown" } });
    expect(connections).toBe(1);
    await expect(enqueue("c")).resolves.toEqual([{ status: "enqueued", id: "c", state: "pending" }]);
    expect(connections).toBe(2);
    await broker.close();
  });
});
