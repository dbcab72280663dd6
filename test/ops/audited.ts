import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { SealedText } from "../../src/broker/audit.js";
import type { Broker } from "../../src/broker/broker.js";
import { loadDriver } from "../../src/embedded/driver.js";
import { embeddedBroker } from "../../src/embedded/index.js";
import { redisBroker } from "../../src/redis/index.js";
import { globalAuditKey, auditKey, sealedKey, sealedPlacesKey } from "../../src/redis/keys.js";
import { RedisServer } from "../support/redis-server.js";

/** Storage whose audit log somebody can tamper with who may write there. */
export interface Audited extends AsyncDisposable {
  readonly broker: Broker;
  /** Other records in place of these; `rewriteHead`: whoever does it knows of the note of the end, too. */
  replace(records: readonly SealedText[], rewriteHead: boolean): Promise<void>;
  /** Acts of a log up to a number are gone before anybody has sealed them. */
  forget(log: string, through: number): Promise<void>;
  /** A sealer died between the chain and the places: only where these are two writes. */
  forgetPlaces?(): Promise<void>;
}

interface Engine extends AsyncDisposable {
  /** With nothing in it. */
  fresh(): Promise<Audited>;
}

export const engines: Record<string, { readonly needsRedis: boolean; start(): Promise<Engine> }> = {
  redis: {
    needsRedis: true,
    async start() {
      const server = await RedisServer.start();
      const broker = redisBroker({ url: server.url });
      const audited: Audited = {
        broker,
        async replace(records, rewriteHead) {
          await server.admin.del(sealedKey);
          for (const { n, hash, text } of records) await server.admin.zadd(sealedKey, n, `${hash} ${text}`);
          const last = records.at(-1);
          if (rewriteHead) await server.admin.hset(sealedPlacesKey, "head", `${last?.n ?? 0} ${last?.hash ?? ""}`);
        },
        async forget(log, through) {
          const key = log === "" ? globalAuditKey : auditKey(log);
          const acts = await server.admin.xrange(key, "-", "+", "COUNT", through);
          await server.admin.xdel(key, ...acts.map(([id]) => id));
        },
        async forgetPlaces() {
          await server.admin.del(sealedPlacesKey);
        },
        [Symbol.asyncDispose]: async () => undefined,
      };
      return {
        async fresh() {
          await server.admin.flushall();
          return audited;
        },
        async [Symbol.asyncDispose]() {
          await broker.close();
          await server.stop();
        },
      };
    },
  },
  file: {
    needsRedis: false,
    async start() {
      return { fresh: auditedFile, [Symbol.asyncDispose]: async () => undefined };
    },
  },
};

async function auditedFile(): Promise<Audited> {
  const folder = mkdtempSync(join(tmpdir(), "holdfast-audit-"));
  const path = join(folder, "tasks.db");
  const broker = embeddedBroker({ file: path });
  const sqlite = await loadDriver();
  const change = (write: (run: (sql: string, ...values: (string | number)[]) => void) => void) => {
    const database = sqlite(path);
    database.exec("PRAGMA busy_timeout = 5000");
    write((sql, ...values) => void database.prepare(sql).run(...values));
    database.close();
  };
  return {
    broker,
    async replace(records, rewriteHead) {
      change((run) => {
        run("DELETE FROM sealed");
        for (const { n, hash, text } of records) run("INSERT INTO sealed VALUES (?, ?, ?)", n, hash, text);
        const { n, hash } = records.at(-1)!;
        if (rewriteHead) run("UPDATE sealed_head SET n = ?, hash = ?", n, hash);
      });
    },
    async forget(log, through) {
      change((run) => run("DELETE FROM act WHERE queue = ? AND number <= ?", log, through));
    },
    async [Symbol.asyncDispose]() {
      await broker.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
