import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Redis } from "ioredis";
import type { Broker, TaskRef } from "../../src/broker/broker.js";
import { loadDriver, type SqlValue } from "../../src/embedded/driver.js";
import { embeddedBroker } from "../../src/embedded/index.js";
import { redisBroker } from "../../src/redis/index.js";
import { pausedKey, taskKey } from "../../src/redis/keys.js";
import { RedisCluster } from "../support/redis-cluster.js";
import { RedisSentinels } from "../support/redis-sentinels.js";
import { RedisServer } from "../support/redis-server.js";

/** What a test may need of an engine beyond the contract. */
export type Need = "damage" | "groups" | "pause" | "shared" | "signals" | "spool";

/** One storage, with nothing in the queues of this test that it has not put there. */
export interface Storage extends AsyncDisposable {
  /** A broker of all tests of the file that do not close it: to open one in memory takes longer than most tests do. */
  readonly kept?: Broker;
  /** A broker on this storage; each call opens another one, as another process would. */
  open(): Broker;
  /** Overwrite the stored message of a task, as a bug or a stranger might. */
  damage(task: TaskRef, bytes: Uint8Array): Promise<void>;
  /** Pause a queue, as an operator's tool would. */
  pause(queue: string): Promise<void>;
  /** The server itself that has a queue, for what another program does there; embedded storage has none. */
  server?(queue: string): Redis;
}

export interface Engine {
  readonly name: "memory" | "file" | "redis" | "cluster" | "sentinel";
  /** What it lacks, and why; tests that need it are skipped and say so. */
  readonly gaps: { readonly [N in Need]?: string };
  readonly needsRedis: boolean;
  /** Once per test file, before its tests, which share the storage: queue names are their own. */
  start(): Promise<EngineRun>;
}

interface EngineRun extends AsyncDisposable {
  storage(): Promise<Storage>;
}

const nothingToDispose = { [Symbol.asyncDispose]: async () => {} };

const memory: Engine = {
  name: "memory",
  gaps: {
    damage: "what is in memory can be reached by its own broker alone",
    groups: "only Go peers make groups so far",
    pause: "what is in memory can be reached by its own broker alone",
    shared: "what is in memory belongs to one broker",
    signals: "what is in memory belongs to one broker",
    spool: "it is on this machine itself",
  },
  needsRedis: false,
  async start() {
    const open = () => embeddedBroker({ file: ":memory:" });
    const kept = open();
    return {
      storage: async () => ({
        ...nothingToDispose,
        kept,
        open,
        damage: () => Promise.reject(new Error("a gap")),
        pause: () => Promise.reject(new Error("a gap")),
      }),
      [Symbol.asyncDispose]: () => kept.close(),
    };
  },
};

const file: Engine = {
  name: "file",
  gaps: { groups: "only Go peers make groups so far", spool: "it is on this machine itself" },
  needsRedis: false,
  async start() {
    const folder = mkdtempSync(join(tmpdir(), "holdfast-contract-"));
    const path = join(folder, "tasks.db");
    const open = () => embeddedBroker({ file: path });
    // The brokers of all tests share its thread: to start one takes longer than most tests do.
    const first = open();
    await first.ping();
    return {
      storage: async () => ({
        ...nothingToDispose,
        open,
        damage: ({ queue, id }, bytes) =>
          write(path, "UPDATE task SET message = ? WHERE queue = ? AND id = ?", bytes, queue, id),
        pause: (queue) => write(path, "UPDATE queue SET paused = 1 WHERE name = ?", queue),
      }),
      async [Symbol.asyncDispose]() {
        await first.close();
        rmSync(folder, { recursive: true, force: true });
      },
    };
  },
};

async function write(path: string, statement: string, ...values: SqlValue[]): Promise<void> {
  const database = (await loadDriver())(path);
  database.exec("PRAGMA busy_timeout = 5000");
  database.prepare(statement).run(...values);
  database.close();
}

/** On Redis, wherever it is that a key is to be found. */
function redisEngine(
  name: "redis" | "cluster" | "sentinel",
  start: () => Promise<AsyncDisposable & { readonly url: string; admin(key: string): Redis }>,
): Engine {
  return {
    name,
    gaps: {},
    needsRedis: true,
    async start() {
      const servers = await start();
      return {
        storage: async () => ({
          ...nothingToDispose,
          open: () => redisBroker({ url: servers.url }),
          server: (queue) => servers.admin(pausedKey(queue)),
          async damage({ queue, id }, bytes) {
            const key = taskKey(queue, id);
            await servers.admin(key).hset(key, "msg", Buffer.from(bytes));
          },
          async pause(queue) {
            const key = pausedKey(queue);
            await servers.admin(key).set(key, "1700000000");
          },
        }),
        [Symbol.asyncDispose]: () => servers[Symbol.asyncDispose](),
      };
    },
  };
}

const redis = redisEngine("redis", async () => {
  const server = await RedisServer.start();
  return { url: server.url, admin: () => server.admin, [Symbol.asyncDispose]: () => server.stop() };
});
const cluster = redisEngine("cluster", () => RedisCluster.start());
const sentinel = redisEngine("sentinel", async () => {
  const servers = await RedisSentinels.start();
  return { url: servers.url, admin: () => servers.master.admin, [Symbol.asyncDispose]: () => servers.stop() };
});

/** What runs behind Sentinels, too, unless BROKERS names them: there a server is like any other, once it is found. */
const behindSentinels = new Set(["answers in order", "outcomes", "repeated requests", "tokens fence", "signals"]);

/** What is done a hundred times over runs on one engine of each kind, unless BROKERS names them. */
const ofEachKind = new Set(["redrives killed at each step"]);

/**
 * The engines to hold a promise: all of them, or those that BROKERS names (a list with commas): memory, file, redis,
 * cluster, sentinel, or "embedded" for both files.
 */
export function enginesFor(promise: string): readonly Engine[] {
  const names = process.env["BROKERS"];
  const all = [memory, file, redis, cluster, sentinel];
  if (names === undefined || names === "")
    return ofEachKind.has(promise)
      ? [memory, redis]
      : all.filter((engine) => engine !== sentinel || behindSentinels.has(promise));
  const wanted = names.split(",").flatMap((name) => (name === "embedded" ? ["memory", "file"] : [name.trim()]));
  for (const name of wanted) {
    if (!all.some((engine) => engine.name === name))
      throw new Error(`BROKERS names "${name}"; there are ${all.map(({ name: one }) => one).join(", ")}`);
  }
  return all.filter(({ name }) => wanted.includes(name));
}
