/**
 * What dead letters cost and how fast they are operated: so many tasks end well, as many fail for good of some causes, are
 * put into groups, searched, and redriven, on each engine: `npx tsx bench/dead-letters.ts [tasks] [causes] [redis|file …]`. Needs a
 * redis-server for the one.
 */
import { fork } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Client, connect, defineTask, Inspector, SkipRetry, Worker } from "../dist/esm/index.js";
import { silent } from "../dist/esm/core/log.js";
import { DeadLetters } from "../dist/esm/deadletter/index.js";
import { until } from "../test/support/until.js";
import { RedisServer } from "../test/support/redis-server.js";

const queues = ["billing", "mail", "reports", "search"];
const types = Array.from({ length: 5 }, (_, n) => `type-${n}`);
interface Payload {
  readonly n: number;
  readonly fails: boolean;
}
const tasks = types.map((type) => defineTask<Payload>(type));

if (process.argv[2] === "worker") await work(process.argv[3]!, Number(process.argv[4]), process.argv[5] === "mended");
else await main();

/** Fails as programs do: the causes differ in their text, and each failure has ids and numbers of its own in it. */
async function work(url: string, causes: number, mended: boolean): Promise<void> {
  const broker = connect(url);
  const worker = new Worker(broker, {
    queues: Object.fromEntries(queues.map((queue) => [queue, 1])),
    concurrency: 100,
    log: silent,
  });
  for (const [at, task] of tasks.entries()) {
    worker.handle(task, ({ n, fails }) => {
      if (!fails || mended) return;
      const cause = Math.floor(n / types.length) % (causes / types.length);
      throw new SkipRetry(
        `step ${"abcdefghij"[cause]} of ${types[at]}: invoice ${n} of customer ${n * 7919} was refused`,
      );
    });
  }
  process.once("disconnect", () => process.exit());
  await worker.start();
  process.send!("ready");
}

async function main(): Promise<void> {
  const [count = 100_000, causes = 50] = process.argv.slice(2, 4).map(Number);
  const engines = process.argv.slice(4);
  const wants = (engine: string) => engines.length === 0 || engines.includes(engine);
  if (wants("redis")) {
    await using server = await RedisServer.start();
    const memory = async () => Number(/used_memory:(\d+)/.exec(await server.admin.info("memory"))![1]);
    await measure("Redis, no persistence", server.url, count, causes, memory);
  }
  if (wants("file")) {
    const folder = mkdtempSync(join(tmpdir(), "holdfast-dead-letters-"));
    const path = join(folder, "tasks.db");
    const size = async () => statSync(path).size;
    await measure("SQLite on a file", `file:${path}`, count, causes, size).finally(() =>
      rmSync(folder, { recursive: true }),
    );
  }
}

async function measure(
  name: string,
  url: string,
  count: number,
  causes: number,
  bytes: () => Promise<number>,
): Promise<void> {
  console.log(
    `\n${name}: ${count.toLocaleString("en-US")} tasks, ${causes} causes, ${queues.length} queues, one worker process of 100`,
  );
  await using broker = connect(url);
  const client = new Client(broker);
  const letters = new DeadLetters(broker);
  const counted = async (state: "archived" | "pending") => {
    const all = await new Inspector(broker).queues();
    return all.reduce((sum, { counts }) => sum + counts[state] + (state === "pending" ? counts.active : 0), 0);
  };
  const enqueue = async (fails: boolean) => {
    for (let from = 0; from < count; from += 1_000) {
      const calls = Array.from({ length: Math.min(1_000, count - from) }, (_, i) => {
        const n = from + i;
        return tasks[n % types.length]!({ n, fails }, { queue: queues[n % queues.length]! });
      });
      await client.enqueueAll(calls);
    }
  };
  const told = (what: string, ms: number, more = "") =>
    console.log(
      `  ${what.padEnd(40)} ${(ms / 1_000).toFixed(1).padStart(6)} s ${Math.round((count / ms) * 1_000)
        .toLocaleString("en-US")
        .padStart(8)} tasks/s  ${more}`,
    );
  const drained = async (mended: boolean) => {
    const worker = fork(process.argv[1]!, ["worker", url, String(causes), mended ? "mended" : "broken"], {
      execArgv: process.execArgv,
    });
    await Promise.race([
      once(worker, "message"),
      once(worker, "exit").then(() => Promise.reject(new Error("the worker ended"))),
    ]);
    return worker;
  };

  for (const fails of [false, true]) {
    await enqueue(fails);
    const before = await bytes();
    const began = performance.now();
    const worker = await drained(false);
    await until("all have ended", async () => (await counted("pending")) === 0, 600_000);
    told(fails ? "fail for good, with their record" : "end well", performance.now() - began);
    if (fails) {
      await until("all are in a group", async () => (await letters.groups()).unindexed === 0, 600_000);
      told("the same, until all are in their group", performance.now() - began);
      const more = (await bytes()) - before;
      console.log(`  bytes per dead letter more than as a waiting task: ${Math.round(more / count)}`);
    }
    worker.disconnect();
    await once(worker, "exit");
  }
  console.log(`  ${await counted("archived")} dead letters in ${(await letters.groups()).groups.length} groups`);

  let began = performance.now();
  let found = 0;
  for await (const { items } of letters.searchAll('err~"of customer 7919 "')) found += items.length;
  told("search their errors", performance.now() - began, `${found} found`);

  const worker = await drained(true);
  began = performance.now();
  const reason = "measured";
  const { id } = await letters.redrives.start("failed:<1d", { rate: 5_000, ramp: "1s", inFlight: 10_000, reason });
  told("choose them all for a redrive", performance.now() - began);
  began = performance.now();
  const redrive = await letters.redrives.drive(id);
  told(
    "redrive them, till each has ended",
    performance.now() - began,
    `${redrive.status} ${JSON.stringify(redrive.counts)}`,
  );
  worker.disconnect();
  await once(worker, "exit");
}
