import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, statSync, truncateSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { RedisServer, type ServerOptions } from "./redis-server.js";

const folder = mkdtempSync(join(tmpdir(), "holdfast-fsync-"));
const library = join(folder, "fsync-log.so");
const source = join(import.meta.dirname, "fsync-log.c");
const made = spawnSync("cc", ["-shared", "-fPIC", "-O1", "-o", library, source, "-ldl"]);

/** Whether this machine can play a power cut: Linux with a C compiler. */
export const canCutPower = process.platform === "linux" && made.status === 0;
if (!canCutPower)
  process.stderr.write("SKIPPED, for there is no C compiler: what a power cut leaves of Redis's files\n");

/** A server of which is known what it had brought to the disk. */
export async function serverToCut(config: NonNullable<ServerOptions["config"]>): Promise<RedisServer> {
  const log = join(folder, `${process.pid}-${performance.now()}.log`);
  const server = await RedisServer.start({ config, env: { LD_PRELOAD: library, FSYNC_LOG: log } });
  logs.set(server, log);
  return server;
}

const logs = new WeakMap<RedisServer, string>();

/** As after a power cut: of its append-only files is there what was on the disk, and nothing else. Answers the bytes lost. */
export async function cutPower(server: RedisServer): Promise<number> {
  await server.kill();
  const lengths = new Map<string, number>();
  for (const line of readFileSync(logs.get(server)!, "utf8").trim().split("\n")) {
    const [path, length] = line.split("\t");
    lengths.set(path!, Number(length));
  }
  let lost = 0;
  const directory = join(server.dir, "appendonlydir");
  for (const path of readdirSync(directory).map((name) => join(directory, name))) {
    if (!path.endsWith(".incr.aof")) continue;
    const length = lengths.get(path) ?? 0;
    lost += statSync(path).size - length;
    truncateSync(path, length);
  }
  return lost;
}
