import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Broker, TaskRef } from "../../src/broker/broker.js";
import { loadDriver, type SqlValue } from "../../src/embedded/driver.js";
import { embeddedBroker } from "../../src/embedded/index.js";
import { redisBroker } from "../../src/redis/index.js";
import { keysOf, taskKey } from "../../src/redis/keys.js";
import { RedisServer } from "../support/redis-server.js";

/** What a test may need of an engine beyond the contract. */
export type Need = "damage" | "inspecting" | "pause" | "shared" | "signals" | "steering";

/** One storage, with nothing in it that this test has not put there. */
export interface Storage extends AsyncDisposable {
  /** A broker on this storage; each call opens another one, as another process would. */
  open(): Broker;
  /** Overwrite the stored message of a task, as a bug or a stranger might. */
  damage(task: TaskRef, bytes: Uint8Array): Promise<void>;
  /** Pause a queue, as an operator's tool would. */
  pause(queue: string): Promise<void>;
}

export interface Engine {
  readonly name: "memory" | "file" | "redis";
  /** What it lacks, and why; tests that need it are skipped and say so. */
  readonly gaps: { readonly [N in Need]?: string };
  readonly needsRedis: boolean;
  /** Once per test file, before its tests. */
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
    pause: "what is in memory can be reached by its own broker alone",
    shared: "what is in memory belongs to one broker",
    signals: "what is in memory belongs to one broker",
  },
  needsRedis: false,
  start: async () => ({
    ...nothingToDispose,
    storage: async () => ({
      ...nothingToDispose,
      open: () => embeddedBroker({ file: ":memory:" }),
      damage: () => Promise.reject(new Error("a gap")),
      pause: () => Promise.reject(new Error("a gap")),
    }),
  }),
};

const file: Engine = {
  name: "file",
  gaps: {},
  needsRedis: false,
  start: async () => ({
    ...nothingToDispose,
    async storage() {
      const folder = mkdtempSync(join(tmpdir(), "holdfast-contract-"));
      const path = join(folder, "tasks.db");
      return {
        open: () => embeddedBroker({ file: path }),
        damage: ({ queue, id }, bytes) =>
          write(path, "UPDATE task SET message = ? WHERE queue = ? AND id = ?", bytes, queue, id),
        pause: (queue) => write(path, "UPDATE queue SET paused = 1 WHERE name = ?", queue),
        [Symbol.asyncDispose]: async () => rmSync(folder, { recursive: true, force: true }),
      };
    },
  }),
};

async function write(path: string, statement: string, ...values: SqlValue[]): Promise<void> {
  const database = (await loadDriver())(path);
  database.exec("PRAGMA busy_timeout = 5000");
  database.prepare(statement).run(...values);
  database.close();
}

const redis: Engine = {
  name: "redis",
  gaps: {},
  needsRedis: true,
  async start() {
    const server = await RedisServer.start();
    return {
      // All tests of a file share the server: queue names are their own.
      storage: async () => ({
        ...nothingToDispose,
        open: () => redisBroker({ url: server.url }),
        async damage({ queue, id }, bytes) {
          await server.admin.hset(taskKey(queue, id), "msg", Buffer.from(bytes));
        },
        async pause(queue) {
          await server.admin.set(`${keysOf(queue).asynq}paused`, "1700000000");
        },
      }),
      [Symbol.asyncDispose]: () => server.stop(),
    };
  },
};

/** All engines, or those that BROKERS names (a list with commas): memory, file, redis, or "embedded" for both files. */
export const engines: readonly Engine[] = chosen(process.env["BROKERS"]);

function chosen(names: string | undefined): readonly Engine[] {
  const all = [memory, file, redis];
  if (names === undefined || names === "") return all;
  const wanted = names.split(",").flatMap((name) => (name === "embedded" ? ["memory", "file"] : [name.trim()]));
  for (const name of wanted) {
    if (!all.some((engine) => engine.name === name))
      throw new Error(`BROKERS names "${name}"; there are memory, file, redis`);
  }
  return all.filter(({ name }) => wanted.includes(name));
}
