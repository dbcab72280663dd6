import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { silent } from "../../src/core/log.js";
import { encodeServer } from "../../src/core/worker-codec.js";
import { Client, connect, defineTask, type SpoolOptions, Worker } from "../../src/index.js";
import { describeRedis, RedisServer } from "../support/redis-server.js";
import { RespStub } from "../support/resp-stub.js";
import { until } from "../support/until.js";

const work = defineTask<{ n: number }>("work");

describeRedis("a spool in front of a real server", () => {
  let directory: string;
  const open: { close(): Promise<void> }[] = [];
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), "holdfast-spool-"));
  });
  afterEach(async () => {
    await Promise.all(open.splice(0).map((one) => one.close()));
    rmSync(directory, { recursive: true, force: true });
  });
  const broker = (url: string, spool: Partial<SpoolOptions> = {}) => {
    const one = connect(url, { log: silent, timeout: "500ms", spool: { directory, trustAfter: "1s", ...spool } });
    open.push(one);
    return one;
  };

  it("fills while the server is dead, and drains when it is back: each task runs, and runs once", async () => {
    await using server = await RedisServer.start({ config: { appendonly: "yes" } });
    const storage = broker(server.url);
    const client = new Client(storage, { whenDown: "spool", timeout: "1s" });
    const first = await client.enqueueAll(Array.from({ length: 50 }, (_, n) => work({ n })));
    expect(first.every(({ status }) => status === "enqueued")).toBe(true);
    await server.kill();

    const receipts = await Promise.all(Array.from({ length: 500 }, (_, n) => client.enqueue(work({ n: 100 + n }))));
    expect(new Set(receipts.map(({ status }) => status))).toEqual(new Set(["spooled"]));
    const { id } = receipts[499]!;
    expect(await client.outcome(id)).toEqual({ status: "spooled", id });
    expect((await storage.spool!.stats()).tasks).toBe(500);
    expect(storage.spool!.holds("default")).toBe(true);

    const runs: number[] = [];
    const worker = new Worker(broker(server.url), { concurrency: 1, pollInterval: "50ms", log: silent });
    await server.start();
    await worker.handle(work, ({ n }) => void runs.push(n)).start();
    await until("all have run", () => runs.length === 550, 20_000);
    await until("the spool is empty", async () => (await storage.spool!.stats()).tasks === 0, 10_000);
    expect(runs).toEqual([
      ...Array.from({ length: 50 }, (_, n) => n),
      ...Array.from({ length: 500 }, (_, n) => 100 + n),
    ]);
    expect(await client.outcome(id)).toMatchObject({ status: "enqueued", id });
    expect(await client.outcome("no such")).toBeUndefined();
    await worker.stop();
  });

  it("delivers what an earlier process left, while storage is well all the time", async () => {
    await using server = await RedisServer.start();
    await server.kill();
    const before = broker(server.url);
    await new Client(before).enqueueAll(Array.from({ length: 10 }, (_, n) => work({ n }, { queue: "left" })));
    await before.close();
    await server.start();
    const receipt = await new Client(broker(server.url)).enqueue(work({ n: 100 }));
    expect(receipt.status).toBe("enqueued");
    await until("they are there", async () => (await server.admin.llen("asynq:{left}:pending")) === 10, 10_000);
  });

  it("loses nothing to a server that comes back empty: what had not been released is sent again", async () => {
    await using server = await RedisServer.start();
    const storage = broker(server.url, { trustAfter: "30s" });
    const client = new Client(storage, { accept: "spool" });
    const receipts = await client.enqueueAll(Array.from({ length: 2_000 }, (_, n) => work({ n })));
    await until("all are there", async () => (await server.admin.llen("asynq:{default}:pending")) === 2_000, 20_000);
    expect((await storage.spool!.stats()).tasks).toBe(2_000);

    await server.kill();
    await server.start();
    await until(
      "all are there again",
      async () => (await server.admin.llen("asynq:{default}:pending")) === 2_000,
      20_000,
    );
    await server.admin.flushall();
    await until("and again", async () => (await server.admin.llen("asynq:{default}:pending")) === 2_000, 20_000);
    const stored = await server.admin.lrange("asynq:{default}:pending", 0, -1);
    expect(stored.toReversed()).toEqual(receipts.map(({ id }) => id));
    expect(await server.admin.smembers("asynq:queues")).toEqual(["default"]);
  });

  describe("beside Go workers, which remember nothing of what they have finished", () => {
    const goWorker = async ({ admin }: RedisServer) => {
      const key = "asynq:servers:{go:2:b}";
      const theirs = { host: "go", pid: 2, serverId: "b", concurrency: 1, queues: { shared: 6 } };
      const record = { strictPriority: false, status: "active", startedAtNs: 0n, activeWorkers: 0 };
      await admin.set(key, encodeServer({ ...theirs, ...record }));
      await admin.zadd("asynq:servers", Math.ceil(Date.now() / 1_000) + 60, key);
    };

    it("has all that they may finish kept for a minute, also what goes out together", async () => {
      await using server = await RedisServer.start();
      await goWorker(server);
      const storage = broker(server.url);
      const client = new Client(storage, { accept: "spool" });
      const tasks = [
        work({ n: 1 }, { queue: "own" }),
        work({ n: 2 }, { queue: "shared" }),
        work({ n: 3 }, { queue: "shared", retention: "1h" }),
      ];
      const refs = (await client.enqueueAll(tasks)).map(({ id }, n) => ({ queue: n === 0 ? "own" : "shared", id }));
      await until("they are there", async () => (await storage.find(refs)).every((task) => task !== undefined));
      const found = await storage.find(refs);
      expect(found.map((task) => task?.message?.retentionMs)).toEqual([0, 60_000, 3_600_000]);
    });

    it("looks for them again soon when the first look failed", async () => {
      await using server = await RedisServer.start();
      await goWorker(server);
      let looks = 0;
      await using stub = await RespStub.before(server.port, (name, args) =>
        name === "ZRANGE" && args[0] === "asynq:servers" && ++looks === 1 ? new Error("LOADING") : undefined,
      );
      const storage = broker(stub.url);
      const client = new Client(storage, { accept: "spool" });
      await until("one is kept", async () => {
        const ref = { queue: "shared", id: (await client.enqueue(work({ n: 1 }, { queue: "shared" }))).id };
        const [found] = await until("it is there", async () => {
          const there = await storage.find([ref]);
          return there[0] === undefined ? undefined : there;
        });
        return found?.message?.retentionMs === 60_000;
      });
      expect(looks).toBe(2);
    });
  });

  it("is for those alone who may see which server it is", async () => {
    await using server = await RedisServer.start({ config: { user: "blind on nopass +@all ~* -info" } });
    const client = new Client(broker(server.url.replace("//", "//blind:x@")), { accept: "spool" });
    const refused = await until("it is refused", () =>
      client.enqueue(work({ n: 1 })).then(
        () => undefined,
        (error: unknown) => error,
      ),
    );
    expect(refused).toMatchObject({ code: "BROKER_INCOMPATIBLE", message: expect.stringContaining("allow +info") });
  });

  it("takes nothing it could not bring away, and leaves the queue open where it heard that too late", async () => {
    await using server = await RedisServer.start({ config: { user: "blind on nopass +@all ~* -info" } });
    const client = new Client(broker(server.url.replace("//", "//blind:x@")));
    await server.kill();
    expect((await client.enqueue(work({ n: 1 }))).status).toBe("spooled");
    await server.start();
    const taken = await until("storage takes tasks again", () =>
      client.enqueue(work({ n: 2 })).then(
        ({ status }) => status === "enqueued",
        () => false,
      ),
    );
    expect(taken).toBe(true);
  });

  it("checks its options", () => {
    const wrong = (spool: unknown) => () => connect("redis://localhost", { spool: spool as string });
    expect(wrong("")).toThrow("spool.directory: must be a path");
    expect(wrong({ directory, trustAfter: "10ms" })).toThrow("spool.trustAfter: must be a duration, 1s … 1h");
    expect(wrong({ directory, maxTask: 1 })).toThrow(/spool\.maxTask: is not an option; there are .*trustAfter/);
    expect(() => connect("memory:", { spool: directory })).toThrow("connect.spool: is an option of Redis");
  });
});
