import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe } from "vitest";
import { type Broker, connect } from "../../src/index.js";
import { describeRedis, RedisServer } from "../support/redis-server.js";

export interface Engine {
  readonly name: string;
  readonly describe: (name: string, body: () => void) => void;
  /** Storage that several processes can share. */
  open(folder: string): Promise<Storage>;
}

export interface Storage {
  readonly url: string;
  readonly close: () => Promise<void>;
}

export const engines: readonly Engine[] = [
  {
    name: "a file",
    describe,
    open: async (folder) => ({ url: `file://${join(folder, "tasks.db")}`, close: async () => {} }),
  },
  {
    name: "Redis",
    describe: describeRedis,
    async open() {
      const server = await RedisServer.start();
      return { url: server.url, close: () => server.stop() };
    },
  },
];

interface Site {
  readonly folder: string;
  readonly storage: Storage;
  readonly broker: Broker;
}

/** A folder, storage and a broker on it for each test of a suite; `last` is done before they are closed. */
export function eachOn(engine: Engine, use: (site: Site) => void, last: () => void): void {
  let site: Site;
  beforeEach(async () => {
    const folder = await mkdtemp(join(tmpdir(), "holdfast-chaos-"));
    const storage = await engine.open(folder);
    site = { folder, storage, broker: connect(storage.url) };
    use(site);
  });
  afterEach(async () => {
    last();
    await site.broker.close();
    await site.storage.close();
    await rm(site.folder, { recursive: true, force: true });
  });
}
