import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, it } from "vitest";
import { encodeMessage } from "../../src/core/codec.js";
import { newId } from "../../src/core/ids.js";
import { silent } from "../../src/core/log.js";
import { Client, connect, defineTask, type EnqueueReceipt, Inspector } from "../../src/index.js";
import { message } from "../support/builders.js";
import { describeRedis, type RedisServer } from "../support/redis-server.js";
import { RedisSentinels } from "../support/redis-sentinels.js";
import { until } from "../support/until.js";
import { Fleet } from "./fleet.js";

const work = defineTask("fleet");
const isMaster = async ({ admin }: RedisServer) => (await admin.role())[0] === "master";
const follows = async ({ admin }: RedisServer) => (await admin.info()).includes("master_link_status:up");

/** One that knows nothing of maintenance, as a Go program: it stays with a master until that one is none any more. */
class Stranger {
  readonly acknowledged = new Set<string>();
  readonly #servers: readonly RedisServer[];
  #at: RedisServer;

  constructor(servers: readonly RedisServer[], at: RedisServer) {
    this.#servers = servers;
    this.#at = at;
  }

  async write(): Promise<void> {
    const id = newId(Date.now());
    try {
      const replies = await this.#at.admin
        .multi()
        .sadd("asynq:queues", "default")
        .hset(
          `asynq:{default}:t:${id}`,
          "msg",
          Buffer.from(encodeMessage(message({ id, type: "fleet" }))),
          "state",
          "pending",
        )
        .lpush("asynq:{default}:pending", id)
        .exec();
      if (replies!.every(([error]) => error === null)) this.acknowledged.add(id);
    } catch {
      for (const server of this.#servers) if (await isMaster(server).catch(() => false)) this.#at = server;
    }
  }
}

describeRedis("a Redis that is well, a master, two replicas and three Sentinels, under load", () => {
  let folder: string;
  let redis: RedisSentinels;
  let servers: readonly RedisServer[];
  let fleet: Fleet;
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "holdfast-maintenance-"));
    // The freeze before they are told is a third of it, and replicas say where they are once a second.
    redis = await RedisSentinels.start({
      replicas: 2,
      sentinel: { sentinel: ["down-after-milliseconds tasks 6000"] },
    });
    servers = [redis.master, ...redis.replicas];
    // On a busy machine a process takes its time to get going.
    fleet = new Fleet(`${redis.url}&timeout=10s`, folder, { concurrency: 20, handlerMs: 20 });
  });
  afterAll(async () => {
    fleet.end();
    await redis.stop();
    rmSync(folder, { recursive: true, force: true });
  });
  const masterNow = async () => {
    for (const server of servers) if (await isMaster(server)) return server;
    throw new Error("there is no master");
  };
  const restart = async (server: RedisServer, master: RedisServer) => {
    await server.kill();
    await server.start("loaded", { replicaof: `127.0.0.1 ${master.port}` });
    await until("it follows again", () => follows(server));
  };

  it("is upgraded by the runbook, workers and servers one by one: what was accepted runs, and runs once", async () => {
    await using spooling = connect(redis.url, { spool: join(folder, "spool"), log: silent });
    await using waiting = connect(redis.url, { log: silent });
    const receipts: EnqueueReceipt[] = [];
    const stranger = new Stranger(servers, redis.master);
    let over = false;
    const steadily = async (step: () => Promise<unknown>) => {
      while (!over) await Promise.all([step(), sleep(5)]);
    };
    const clients = [spooling, waiting].map((broker) => new Client(broker, { timeout: "50s" }));
    const old = await Promise.all([fleet.add(), fleet.add()]);
    const writers = [
      ...clients.map((client) => steadily(async () => receipts.push(await client.enqueue(work())))),
      steadily(() => stranger.write()),
    ];

    for (const member of old) {
      await fleet.add();
      await fleet.retire(member);
    }
    const inspector = new Inspector(waiting, { actor: "ann" });
    expect(await inspector.beginMaintenance({ reason: "upgrade" })).toMatchObject({ active: 0, ready: true });
    const refused = receipts.length;
    for (const replica of redis.replicas) await restart(replica, redis.master);
    const changed = await inspector.failOver({ reason: "upgrade" });
    const master = await masterNow();
    const [tried] = await waiting.audit.read([{ log: "" }], 1, true);
    expect(tried).toMatchObject([{ verb: "fail over", actor: "ann", reason: "upgrade" }]);
    expect(changed).toMatchObject({ from: redis.master.place, to: master.place });
    await restart(redis.master, master);
    expect(await inspector.maintenance()).toMatchObject([{ queue: "default", actor: "ann", reason: "upgrade" }]);
    // Only spools took anything meanwhile.
    expect(receipts.slice(refused + 1).map(({ status }) => status)).not.toContain("enqueued");
    const strangers = stranger.acknowledged.size;
    const { servers: states } = await inspector.endMaintenance();
    expect(states.flatMap(({ replicas }) => replicas.map(({ caughtUp }) => caughtUp))).toEqual([true, true]);
    await until("all write again", () => stranger.acknowledged.size > strangers + 20);
    over = true;
    await Promise.all(writers);

    const accepted = [...receipts.map(({ id }) => id), ...stranger.acknowledged];
    const allRan = (runs: ReadonlyMap<string, unknown>) => accepted.every((id) => runs.has(id));
    await until("all has run", () => allRan(fleet.runs()), 60_000).catch(() => undefined);
    await fleet.stop();
    const runs = fleet.runs();
    process.stderr.write(
      `${accepted.length} accepted, ${receipts.filter(({ status }) => status === "spooled").length} of them spooled, ` +
        `${strangers} by one that knows of no maintenance; frozen for ${changed.frozenMs} ms\n`,
    );
    expect(receipts.map(({ status }) => status)).toContain("spooled");
    expect(accepted.filter((id) => !runs.has(id))).toEqual([]);
    expect([...runs].filter(([, list]) => list.length > 1)).toEqual([]);
  });

  it("is left as it is by who may not freeze it", async () => {
    const master = await masterNow();
    await master.admin.call("ACL", "SETUSER", "worker", "on", ">pw", "~*", "&*", "+@all", "-client|pause");
    await using broker = connect(redis.url, { log: silent, username: "worker", password: "pw", timeout: "10s" });
    await expect(new Inspector(broker).failOver()).rejects.toMatchObject({
      code: "BROKER_INCOMPATIBLE",
      data: { problem: expect.stringMatching(/^CLIENT PAUSE is not allowed for this user: .*\+client\|pause/) },
    });
    expect(await masterNow()).toBe(master);
  });

  it("is left as it is when a replica hangs: before the freeze, or as it begins", async () => {
    const master = await masterNow();
    const replica = servers.find((server) => server !== master)!;
    const epoch = async () => {
      const all = await Promise.all(
        redis.sentinels.map(({ admin }) => admin.call("SENTINEL", "MASTER", "tasks") as Promise<string[]>),
      );
      return all.map((fields) =>
        ["port", "flags", "config-epoch"].map((name) => fields[fields.indexOf(name) + 1]).join(" "),
      );
    };
    const before = await epoch();
    const stranger = new Stranger(servers, master);
    let over = false;
    const writing = (async () => {
      while (!over) await Promise.all([stranger.write(), sleep(1)]);
    })();
    const looking = master.admin.duplicate();
    const freezes = async () =>
      Number(/cmdstat_client\|pause:calls=(\d+)/.exec(await looking.info("commandstats"))?.[1] ?? 0);
    const earlier = await freezes();
    const hanging = until("it is frozen", async () => (await freezes()) > earlier).then(() => replica.freeze());
    await using broker = connect(redis.url, { log: silent });
    const inspector = new Inspector(broker);
    const refused = {
      code: "BROKER_UNAVAILABLE",
      data: {
        outcome: "refused",
        problem: `${replica.place} did not get to where the master is: nothing was changed`,
      },
    };
    try {
      const frozenAtMs = performance.now();
      await expect(inspector.failOver({ within: "60s" })).rejects.toMatchObject(refused);
      expect(performance.now() - frozenAtMs).toBeLessThan(5_000);
      expect(await freezes()).toBe(earlier + 1);
      const acknowledged = stranger.acknowledged.size;
      await until("it takes writes again", () => stranger.acknowledged.size > acknowledged + 5);
      await expect(inspector.failOver()).rejects.toMatchObject(refused);
      expect(await freezes()).toBe(earlier + 1);
    } finally {
      over = true;
      await hanging.finally(() => replica.thaw());
      looking.disconnect();
    }
    await writing;
    await until("the replica follows", () => follows(replica));
    expect(await epoch()).toEqual(before);
    expect(await masterNow()).toBe(master);
    const ids = [...stranger.acknowledged];
    const found = await Promise.all(ids.map((id) => master.admin.exists(`asynq:{default}:t:${id}`)));
    expect(found).not.toContain(0);
  });

  it("loses what was acknowledged when the Sentinels are told without more ado", async () => {
    const master = await masterNow();
    const stranger = new Stranger(servers, master);
    await redis.sentinels[0]!.admin.call("SENTINEL", "FAILOVER", "tasks");
    await until("there are two masters", async () => {
      await stranger.write();
      return (await Promise.all(servers.map(isMaster))).filter(Boolean).length > 1;
    });
    for (let n = 0; n < 50; n++) await stranger.write();

    const next = servers.filter((server) => server !== master);
    const there = await Promise.all(next.map(async (server) => ((await isMaster(server)) ? server : undefined)));
    const { admin } = there.find((server) => server !== undefined)!;
    const ids = [...stranger.acknowledged];
    const found = await Promise.all(ids.map((id) => admin.exists(`asynq:{default}:t:${id}`)));
    process.stderr.write(`${ids.length} acknowledged, ${found.filter((one) => one === 0).length} of them lost\n`);
    expect(found).toContain(0);
  });
});
