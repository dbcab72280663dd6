import { mkdtempSync, readdirSync, readFileSync, statSync, truncateSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { lacksCompiler, shim } from "../chaos/harness/shim.js";
import { RedisServer, type ServerOptions } from "./redis-server.js";

/** Whether this machine can play a power cut. */
export const canCutPower = lacksCompiler() === undefined;
if (!canCutPower) process.stderr.write(`SKIPPED: what a power cut leaves of Redis's files ${lacksCompiler()}\n`);

const logs = new WeakMap<RedisServer, string>();

/** A server of which is known what it had brought to the disk. */
export async function serverToCut(config: NonNullable<ServerOptions["config"]>): Promise<RedisServer> {
  const folder = mkdtempSync(join(tmpdir(), "holdfast-synced-"));
  const log = join(folder, "synced");
  const server = await RedisServer.start({ config, env: { LD_PRELOAD: shim("synced", folder), SYNCED: log } });
  logs.set(server, log);
  return server;
}

/** As after a power cut: of its append-only files is there what was on the disk, and nothing else. */
export async function cutPower(server: RedisServer): Promise<void> {
  await server.kill();
  const synced = new Map<number, number>();
  for (const line of readFileSync(logs.get(server)!, "utf8").trim().split("\n")) {
    const [inode, length] = line.split(" ");
    synced.set(Number(inode), Number(length));
  }
  const directory = join(server.dir, "appendonlydir");
  for (const path of readdirSync(directory).map((name) => join(directory, name))) {
    if (path.endsWith(".incr.aof")) truncateSync(path, synced.get(statSync(path).ino) ?? 0);
  }
}
