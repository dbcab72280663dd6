import { afterEach, describe, expect, it } from "vitest";
import { defineTask } from "../../src/core/task.js";
import { type Broker, Client, connect, type HoldfastError } from "../../src/index.js";
import { encodeMessage } from "../../src/core/codec.js";
import { AssuredLine } from "../../src/redis/assured-line.js";
import type { Connection } from "../../src/redis/connection.js";
import { keysOf, queuesKey } from "../../src/redis/keys.js";
import { openConnection } from "../../src/redis/open-connection.js";
import { parseRedisUrl, type RedisAddress } from "../../src/redis/redis-url.js";
import { enqueue, enqueueScript } from "../../src/redis/scripts.gen.js";
import { message } from "../support/builders.js";
import { RedisCluster } from "../support/redis-cluster.js";
import { describeRedis, RedisServer, type ServerOptions } from "../support/redis-server.js";
import { RespStub, type Script } from "../support/resp-stub.js";
import { until } from "../support/until.js";

const ping = defineTask<{ n: number }>("ping");
const resources: AsyncDisposable[] = [];
const opened = <T extends AsyncDisposable>(resource: T): T => (resources.push(resource), resource);

afterEach(async () => {
  for (const resource of resources.splice(0).toReversed()) await resource[Symbol.asyncDispose]();
});

const failure = (call: Promise<unknown>) =>
  call.then(
    () => undefined,
    (error: unknown) => error as HoldfastError<"BROKER_UNAVAILABLE">,
  );
const brokerAt = (url: string): Broker => opened(connect(url, { timeout: "2s" }));
const serverWith = async (config: ServerOptions["config"] = {}) => opened(await RedisServer.start({ config }));

async function replicated(replicas: number) {
  const master = await serverWith();
  const others = await Promise.all(
    Array.from({ length: replicas }, () => serverWith({ replicaof: `127.0.0.1 ${master.port}` })),
  );
  await until(
    "all follow",
    async () => (await master.admin.info("replication")).split("state=online").length > replicas,
  );
  return { master, replicas: others, client: new Client(brokerAt(master.url), { accept: "replicas" }) };
}

describeRedis('accept: "replicas"', () => {
  it("answers when all replicas have the task", async () => {
    const { replicas, client } = await replicated(2);

    const { id } = await client.enqueue(ping({ n: 1 }));

    const exist = await Promise.all(replicas.map(({ admin }) => admin.exists(`asynq:{default}:t:${id}`)));
    expect(exist).toEqual([1, 1]);
  });

  it("waits for each that the master has, though one would do, and says how many have it", async () => {
    const { replicas, client, master } = await replicated(2);
    await client.enqueue(ping({ n: 1 }));
    replicas[1]!.freeze();

    const error = await failure(client.enqueue(ping({ n: 2 }, { id: "two" }), { timeout: "700ms" }));

    expect(error).toMatchObject({
      code: "BROKER_UNAVAILABLE",
      data: { outcome: "unknown", taskIds: ["two"], acknowledged: { replicas: 1, wanted: 2 } },
    });
    expect(error!.message).toContain("1 of 2 replicas");
    expect(client.health().storage[0]).toMatchObject({ state: "degraded" });
    // It is in, and the same again is that task.
    expect(await master.admin.llen("asynq:{default}:pending")).toBe(2);
    replicas[1]!.thaw();
  });

  it("is not content with fewer than were asked for, also when the master has no more", async () => {
    const { client } = await replicated(1);
    await client.enqueue(ping({ n: 1 }));

    expect(await failure(client.enqueue(ping({ n: 1 }), { replicas: 2, timeout: "400ms" }))).toMatchObject({
      data: { acknowledged: { replicas: 1, wanted: 2 } },
    });
    const alone = new Client(brokerAt((await serverWith()).url), { accept: "replicas", timeout: "400ms" });
    expect(await failure(alone.enqueue(ping({ n: 1 })))).toMatchObject({
      data: { outcome: "unknown", acknowledged: { replicas: 0, wanted: 1 } },
    });
  });

  it("confirms a repeat that changes nothing, too: a barrier goes behind it", async () => {
    const { master, replicas, client } = await replicated(1);
    await client.enqueue(ping({ n: 1 }, { id: "one" }));
    replicas[0]!.freeze();
    const again = client.enqueue(ping({ n: 1 }, { id: "one" }), { timeout: "400ms" });

    expect(await failure(again)).toMatchObject({ data: { acknowledged: { replicas: 0, wanted: 1 } } });
    expect(await master.admin.pttl("holdfast:{default}:barrier")).toBeGreaterThan(1_000);
    replicas[0]!.thaw();
    expect((await client.enqueue(ping({ n: 1 }, { id: "one" }))).status).toBe("idTaken");
  });

  it("sends what is enqueued meanwhile together, and holds up nobody who asks for less", async () => {
    const { replicas, client, master } = await replicated(1);
    replicas[0]!.freeze();
    const slow = Array.from({ length: 20 }, (_, n) => client.enqueue(ping({ n }), { timeout: "10s" }));
    await until("they are written", async () => (await master.admin.llen("asynq:{default}:pending")) === 20);

    const startedAt = performance.now();
    await client.enqueue(ping({ n: 1 }), { accept: "redis" });
    expect(performance.now() - startedAt).toBeLessThan(200);

    const later = client.enqueue(ping({ n: 2 }), { timeout: "10s" });
    await until("it is written", async () => (await master.admin.llen("asynq:{default}:pending")) === 22);
    replicas[0]!.thaw();
    expect((await Promise.all([...slow, later])).every(({ status }) => status === "enqueued")).toBe(true);
  });

  it("takes long lists and several queues", async () => {
    const { replicas, client } = await replicated(1);
    const requests = Array.from({ length: 1_200 }, (_, n) => ping({ n }, { queue: n % 2 === 0 ? "even" : "odd" }));

    const receipts = await client.enqueueAll(requests);

    expect(receipts.filter(({ status }) => status === "enqueued")).toHaveLength(1_200);
    expect(await replicas[0]!.admin.llen("asynq:{even}:pending")).toBe(600);
  });

  it("tells who may not ask for it what is missing, before anything is written", async () => {
    const master = await serverWith({ user: ["limited on nopass ~* &* +@all -wait"] });
    const url = `redis://limited:x@127.0.0.1:${master.port}`;

    const error = await failure(new Client(brokerAt(url), { accept: "replicas" }).enqueue(ping({ n: 1 })));

    expect(error).toMatchObject({ code: "BROKER_INCOMPATIBLE" });
    expect(error!.message).toContain("needs the right");
    expect(await master.admin.exists("asynq:{default}:pending")).toBe(0);
  });

  it("looks for the master anew when a server says that it is a replica", async () => {
    const { master } = await replicated(1);
    let connections = 0;
    let replica = true;
    const stub = opened(
      await RespStub.before(master.port, (name) => {
        if (name === "CLIENT") connections += 1;
        if (name !== "WAIT" || !replica) return undefined;
        replica = false;
        return new Error("ERR WAIT cannot be used with replica instances.");
      }),
    );
    const client = new Client(brokerAt(stub.url), { accept: "replicas", timeout: "5s" });

    expect(await client.enqueue(ping({ n: 1 }))).toMatchObject({ status: "enqueued" });
    // The link's own, and two for what is to be confirmed.
    expect(connections).toBe(3);
  });

  it("outlives its connection", async () => {
    const { client, master } = await replicated(1);
    await client.enqueue(ping({ n: 1 }));
    await master.admin.call("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes");

    expect((await client.enqueue(ping({ n: 2 }))).status).toBe("enqueued");
  });

  it("does not know what became of a task whose server is made a replica meanwhile, and writes none to a replica", async () => {
    const server = await serverWith();
    const client = new Client(brokerAt(server.url), { accept: "replicas", timeout: "1s" });
    const waiting = failure(client.enqueue(ping({ n: 1 }, { id: "one" })));
    await until("it is written", async () => (await server.admin.exists("asynq:{default}:t:one")) === 1);

    await server.admin.replicaof("127.0.0.1", 1);

    const data = { outcome: "unknown", taskIds: ["one"] };
    expect(await waiting).toMatchObject({ code: "BROKER_UNAVAILABLE", data });
    const other = new Client(brokerAt(server.url), { accept: "replicas", timeout: "1500ms" });
    expect(await failure(other.enqueue(ping({ n: 2 })))).toMatchObject({
      code: "BROKER_UNAVAILABLE",
      data: { outcome: "refused" },
    });
  });

  it("takes no other connection's word for what was written on one that has ended", async () => {
    const old = await serverWith();
    const { master } = await replicated(1);
    const connections: Connection[] = [];
    const line = new AssuredLine(
      "tasks",
      "replicas",
      async (...how) => {
        const { address } = parseRedisUrl(connections.length === 0 ? old.url : master.url) as { address: RedisAddress };
        const connection = await openConnection(address, ...how);
        connections.push(connection as Connection);
        return connection;
      },
      2_000,
    );
    const task = { id: "one", message: encodeMessage(message({ id: "one" })), special: "" };
    const call = enqueue({ ...keysOf("default"), queues: queuesKey }, { queue: "default", nowNs: "1000000000" }, [
      task,
    ]);
    const confirmed = failure(line.run([call], [], 1, { timeoutMs: 5_000, taskIds: ["one"] }));
    await until("it is written", async () => (await old.admin.exists("asynq:{default}:t:one")) === 1);

    // As when a replica has been made the master.
    connections[0]!.end();

    expect(await confirmed).toMatchObject({
      code: "BROKER_UNAVAILABLE",
      data: { outcome: "unknown", taskIds: ["one"] },
    });
    line.end();
  });
});

describeRedis('accept: "replicas" on a Cluster', () => {
  it("asks each queue's own node", async () => {
    const cluster = opened(await RedisCluster.start());
    const queues = ["a", "b", "c", "d"];
    expect(new Set(queues.map((queue) => cluster.masterOf(`asynq:{${queue}}:`))).size).toBeGreaterThan(1);
    const client = new Client(brokerAt(cluster.url), { accept: "replicas", replicas: 0 });

    const receipts = await client.enqueueAll(queues.map((queue, n) => ping({ n }, { queue })));

    expect(receipts.map(({ status }) => status)).toEqual(["enqueued", "enqueued", "enqueued", "enqueued"]);
    for (const queue of queues) {
      expect(await cluster.masterOf(`asynq:{${queue}}:`).admin.exists(`holdfast:{${queue}}:barrier`)).toBe(1);
    }
    const error = await failure(client.enqueue(ping({ n: 1 }), { replicas: 1, timeout: "500ms" }));
    expect(error).toMatchObject({ data: { acknowledged: { replicas: 0, wanted: 1 } } });
  });
});

describeRedis('accept: "fsync"', () => {
  const aof = { appendonly: "yes", appendfsync: "always" };

  it("is answered by a server that always fsyncs before it answers", async () => {
    const server = await serverWith(aof);

    const receipt = await new Client(brokerAt(server.url)).enqueue(ping({ n: 1 }), { accept: "fsync" });

    expect(receipt.status).toBe("enqueued");
  });

  it.each([
    [{ appendonly: "yes", appendfsync: "everysec" }, "Redis 7.2"],
    [{ ...aof, "no-appendfsync-on-rewrite": "yes" }, "no-appendfsync-on-rewrite no"],
    [{}, "appendonly yes"],
  ])("says what it needs with %j, and writes nothing", async (config, needs) => {
    const server = await serverWith(config);

    const error = await failure(new Client(brokerAt(server.url), { accept: "fsync" }).enqueue(ping({ n: 1 })));

    expect(error).toMatchObject({ code: "BROKER_INCOMPATIBLE" });
    expect(error!.message).toContain(needs);
    expect(await server.admin.exists("asynq:{default}:pending")).toBe(0);
  });

  it("says at once that before 7.2 replicas cannot be counted, and writes nothing", async () => {
    const server = await serverWith(aof);
    let looks = 0;
    const script: Script = (name) => {
      if (name === "CONFIG") looks += 1;
      return name === "WAITAOF" ? new Error("ERR unknown command 'WAITAOF'") : undefined;
    };
    const stub = opened(await RespStub.before(server.port, script));
    const client = new Client(brokerAt(stub.url), { accept: "fsync", timeout: "1s" });

    const [counted, uncounted] = await Promise.all([
      failure(client.enqueue(ping({ n: 1 }), { replicas: 1 })),
      client.enqueue(ping({ n: 2 }, { id: "without" })),
    ]);

    expect(counted).toMatchObject({ code: "BROKER_INCOMPATIBLE" });
    expect(counted!.message).toContain("with replicas needs Redis 7.2");
    expect(uncounted.status).toBe("enqueued");
    expect(await server.admin.lrange("asynq:{default}:pending", 0, -1)).toEqual(["without"]);
    expect(looks).toBeLessThan(5);
  });

  it("notices that the setting was changed", async () => {
    const server = await serverWith(aof);
    const client = new Client(brokerAt(server.url), { accept: "fsync" });
    await client.enqueue(ping({ n: 1 }));
    await server.admin.config("SET", "appendfsync", "everysec");

    expect(await failure(client.enqueue(ping({ n: 2 })))).toMatchObject({ code: "BROKER_INCOMPATIBLE" });
  });

  describe("with WAITAOF, by a scripted stand-in where the installed Redis has none", () => {
    async function stubbed(waitAof: (replicas: number) => unknown) {
      const server = await serverWith({ appendonly: "yes" });
      const asked: string[] = [];
      const script: Script = (name, args) => {
        asked.push([name, ...args.slice(0, 2)].join(" "));
        return name === "WAITAOF" ? waitAof(Number(args[1])) : undefined;
      };
      const stub = opened(await RespStub.before(server.port, script));
      return { server, asked, client: new Client(brokerAt(stub.url), { accept: "fsync", timeout: "600ms" }) };
    }

    it("answers when it is fsynced, and asks for that behind the write, on the same connection", async () => {
      let calls = 0;
      const { client, asked } = await stubbed(() => [++calls > 2 ? 1 : 0, 0]);

      expect((await client.enqueue(ping({ n: 1 }))).status).toBe("enqueued");

      // Looks at the data send scripts, too, on other connections.
      const write = asked.findLastIndex((one) => one.includes(enqueueScript.text) || one.includes(enqueueScript.sha1));
      expect(write).toBeGreaterThanOrEqual(0);
      expect(write).toBeLessThan(asked.findLastIndex((one) => one.startsWith("WAITAOF")));
      expect(asked.filter((one) => one === "WAITAOF 1 0").length).toBeGreaterThanOrEqual(3);
    });

    it("says when it was not fsynced in time, here or on replicas", async () => {
      const { client } = await stubbed(() => [0, 0]);
      const late = await failure(client.enqueue(ping({ n: 1 })));
      expect(late).toMatchObject({ data: { outcome: "unknown", acknowledged: { replicas: 0, wanted: 0 } } });
      expect(late!.message).toContain("not fsynced");

      const { client: other } = await stubbed((replicas) => [1, Math.min(replicas, 1)]);
      expect(await failure(other.enqueue(ping({ n: 1 }), { replicas: 2 }))).toMatchObject({
        data: { acknowledged: { replicas: 1, wanted: 2 } },
      });
      expect((await other.enqueue(ping({ n: 1 }), { replicas: 1 })).status).toBe("enqueued");
    });

    it("says what it needs of a server without an append-only file", async () => {
      const off = "ERR WAITAOF cannot be used when numlocal is set but appendonly is disabled.";
      const { client, server } = await stubbed(() => new Error(off));

      expect(await failure(client.enqueue(ping({ n: 1 })))).toMatchObject({ code: "BROKER_INCOMPATIBLE" });
      expect(await server.admin.exists("asynq:{default}:pending")).toBe(0);
    });
  });
});
