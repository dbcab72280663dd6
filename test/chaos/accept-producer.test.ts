import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, expect, it } from "vitest";
import { silent } from "../../src/core/log.js";
import { connect, type SpoolOptions } from "../../src/index.js";
import { describeRedis, RedisServer, type ServerOptions } from "../support/redis-server.js";
import { until } from "../support/until.js";
import { Accepted } from "./accept.js";

const resources: AsyncDisposable[] = [];
const opened = <T extends AsyncDisposable>(resource: T): T => (resources.push(resource), resource);

afterEach(async () => {
  for (const resource of resources.splice(0).toReversed()) await resource[Symbol.asyncDispose]();
});

function newDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), "holdfast-accept-"));
  opened({ [Symbol.asyncDispose]: async () => rmSync(directory, { recursive: true, force: true }) });
  return directory;
}

/** A process that enqueues until it is killed, and what it was promised. */
function producer(...args: string[]): { readonly child: ChildProcess; readonly ids: Set<string> } {
  const ids = new Set<string>();
  const child = spawn(process.execPath, [join(import.meta.dirname, "accept-child.mjs"), ...args], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  let unread = "";
  child.stdout.on("data", (bytes: Buffer) => {
    const lines = (unread + bytes.toString()).split("\n");
    unread = lines.pop()!;
    for (const id of lines) ids.add(id);
  });
  opened({ [Symbol.asyncDispose]: () => gone(child) });
  return { child, ids };
}

async function gone(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const closed = new Promise((resolve) => child.once("close", resolve));
  child.kill("SIGKILL");
  await closed;
}

const missing = async (ids: ReadonlySet<string>, { admin }: RedisServer) => {
  const there = new Set(await admin.lrange("asynq:{default}:pending", 0, -1));
  return [...ids].filter((id) => !there.has(id)).length;
};

describeRedis("what was accepted of a process that was killed with -9 right after", () => {
  it.each(["redis", "fsync", "replicas"])('is there with accept "%s"', async (accept) => {
    const server = opened(await RedisServer.start({ config: { appendonly: "yes", appendfsync: "always" } }));
    if (accept === "replicas") {
      opened(await RedisServer.start({ config: { replicaof: `127.0.0.1 ${server.port}` } }));
      await until("it is followed", async () => (await server.admin.info("replication")).includes("state=online"));
    }
    const { child, ids } = producer(server.url, accept);
    await until("some are accepted", () => ids.size > 200, 20_000);

    await gone(child);

    expect(await missing(ids, server)).toBe(0);
  });

  it("is there with a spool, though Redis was away all the time: the next process brings it", async () => {
    const server = opened(await RedisServer.start({ config: { appendonly: "yes" } }));
    await server.kill();
    const directory = newDirectory();
    const { child, ids } = producer(server.url, "spool", directory);
    await until("some are accepted", () => ids.size > 200, 20_000);
    await gone(child);

    await server.start();
    const next = opened(connect(server.url, { log: silent, spool: { directory, trustAfter: "1s" } }));
    next.spool!.nudge();

    const all = async () => (await missing(ids, server)) === 0;
    expect(await until("all are there", all, 30_000)).toBe(true);
  });
});

describeRedis("what was accepted by the spool", () => {
  it.each<[string, ServerOptions["config"], Partial<SpoolOptions>]>([
    ["nothing, and the spool for a minute", {}, { trustAfter: "1m" }],
    ["snapshots, and the spool until the next", { save: "3600 1000000" }, { afterSave: true }],
    ["an append-only file", { appendonly: "yes", appendfsync: "everysec" }, {}],
  ])("is there when Redis, which keeps %s, is killed while tasks arrive", async (_, config, spool) => {
    const server = opened(await RedisServer.start({ config: config ?? {} }));
    const broker = connect(server.url, { log: silent, timeout: "1s", spool: { directory: newDirectory(), ...spool } });
    const accepted = opened(new Accepted(server.url, { accept: "spool" }, broker));
    accepted.begin();
    await accepted.more(300);
    await until("some are delivered", async () => (await server.admin.llen("asynq:{default}:pending")) > 100);
    await server.kill();
    await accepted.more(300);
    await server.start();
    await accepted.end();

    expect(await until("all are there", async () => (await accepted.lostAt(server)) === 0, 30_000)).toBe(true);
  });
});
