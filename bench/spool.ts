/**
 * How fast a spool takes tasks in while Redis is away, and delivers them when it is back: `npm run build && npx tsx bench/spool.ts [tasks] [rounds]`.
 * Needs a redis-server, which writes its log of writes to the disk each second. DIST=… takes another build.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type * as Holdfast from "../src/index.js";
import { silent } from "../src/core/log.js";
import { RedisServer } from "../test/support/redis-server.js";
import { until } from "../test/support/until.js";

const [count = 60_000, rounds = 3] = process.argv.slice(2).map(Number);
const dist = process.env["DIST"] ?? new URL("../dist", import.meta.url).pathname;
const { Client, connect, defineTask } = (await import(`${dist}/esm/index.js`)) as typeof Holdfast;
const inList = 1_000;
const noop = defineTask<{ text: string }>("noop");

async function cpuOf(server: RedisServer): Promise<number> {
  const info = await server.admin.info("cpu");
  const of = (field: string) => Number(new RegExp(`^${field}:([\\d.]+)`, "m").exec(info)?.[1]);
  return (of("used_cpu_user") + of("used_cpu_sys")) * 1e6;
}

async function round(): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), "holdfast-bench-spool-"));
  const server = await RedisServer.start({ config: { appendonly: "yes" } });
  const broker = connect(server.url, { log: silent, spool: { directory } });
  try {
    const client = new Client(broker, { accept: "spool" });
    await broker.ping();
    await server.kill();
    const beganMs = performance.now();
    for (let sent = 0; sent < count; sent += inList)
      await client.enqueueAll(Array.from({ length: inList }, () => noop({ text: "x".repeat(180) })));
    const accepted = (count / (performance.now() - beganMs)) * 1_000;

    await server.start();
    broker.spool!.nudge();
    const delivered = () => server.admin.llen("asynq:{default}:pending");
    await until("it delivers", async () => (await delivered()) > 0, 60_000);
    const [before, startMs, own, redis] = [
      await delivered(),
      performance.now(),
      process.cpuUsage(),
      await cpuOf(server),
    ];
    await until("all is delivered", async () => (await delivered()) === count, 600_000);
    const tasks = count - before;
    const rate = (tasks / (performance.now() - startMs)) * 1_000;
    const { user, system } = process.cpuUsage(own);
    const µs = [(user + system) / tasks, ((await cpuOf(server)) - redis) / tasks].map((one) => one.toFixed(0));
    const said = `delivered ${rate.toFixed(0)} tasks/s (${µs[0]} µs of this process's processor time a task, ${µs[1]} of Redis's)`;
    process.stdout.write(`accepted ${accepted.toFixed(0)} tasks/s, ${said}\n`);
  } finally {
    await broker.close();
    await server.stop();
    rmSync(directory, { recursive: true, force: true });
  }
}

for (let n = 0; n < rounds; n += 1) await round();
