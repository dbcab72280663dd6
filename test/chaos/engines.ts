import { join } from "node:path";
import { describe } from "vitest";
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
