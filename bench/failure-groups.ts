/**
 * How long the groups of a million dead letters take to be listed and to be paged through, on both engines, and what the index of groups costs Redis
 * meanwhile: `npx tsx bench/failure-groups.ts [dead letters] [causes] [redis|file …]`. Needs a redis-server for the one. QUEUES=a,b names the queues.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Broker, connect } from "../src/index.js";
import { DeadLetters } from "../src/deadletter/index.js";
import { encodeMessage } from "../src/core/codec.js";
import { fingerprintOf } from "../src/core/fingerprint.js";
import { loadDriver } from "../src/embedded/driver.js";
import { failure, newTask, settled } from "../test/support/builders.js";
import { RedisServer } from "../test/support/redis-server.js";

const [letters = 1_000_000, causes = 50] = process.argv.slice(2, 4).map(Number);
const engines = process.argv.slice(4);
const queues = (process.env["QUEUES"] ?? "billing,mail").split(",");
const batch = 500;

const perQueue = Math.ceil(letters / queues.length);
const dayS = 86_400;

/** So many dead letters of one queue die the usual way, of one cause after the other. */
async function dieIn(broker: Broker, queue: string, name: string, count: number): Promise<void> {
  const nowMs = broker.clock.nowMs();
  const types = Array.from({ length: count }, (_, n) => `type-${n % causes}`);
  await broker.enqueue(
    types.map((type, n) => newTask({ id: `${name}-${n}`, queue, type })),
    nowMs,
  );
  const lease = { workerId: "w", requestId: name, queues: [queue], limit: count, leaseMs: 30_000, suspects: 1 };
  const { leased } = await broker.exchange({ settle: [], lease }, nowMs);
  await broker.exchange({ settle: leased.map((task) => settled.archived(task, { message: "boom" })) }, nowMs);
}

/** The last of the dead letters are our workers', so that a group's sample, and what is new, are what they are. */
async function die(broker: Broker): Promise<void> {
  const nowMs = broker.clock.nowMs();
  for (const queue of queues) {
    await dieIn(broker, queue, `last-${queue}`, causes);
    while ((await broker.deadLetters!.indexDeadLetters([queue], batch, nowMs, true)) >= batch);
  }
}
const bytes = encodeMessage(newTask({ id: "x", payload: Buffer.from('{"n":1}'), lastError: "boom" }).message);
const failed = JSON.stringify(failure({ reason: "retries_exhausted" }));
const fingerprints = Array.from({ length: causes }, (_, n) =>
  fingerprintOf(`type-${n}`, failure({ reason: "retries_exhausted" })),
);

/** The others are put where they would be by now: to let a million die takes longer than all that is measured here. */
const fillRedis = async (server: RedisServer) => {
  const script = `local q, from, to, now_s, causes = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4]), #ARGV - 6
for n = from, to - 1 do
  local id, score, fp = "id-" .. n, now_s - n % ${dayS}, ARGV[7 + n % causes]
  redis.call("HSET", "asynq:{" .. q .. "}:t:" .. id, "msg", ARGV[5], "state", "archived", "hf_failure", ARGV[6], "hf_fp", fp)
  redis.call("ZADD", "holdfast:{" .. q .. "}:archived", score, id)
  redis.call("ZADD", "holdfast:{" .. q .. "}:fp:" .. fp, score, id)
end
redis.call("HINCRBY", "holdfast:{" .. q .. "}:index", "count", to - from)`;
  const nowS = Math.floor(Date.now() / 1_000);
  for (const queue of queues)
    for (let from = 0; from < perQueue; from += 5_000)
      await server.admin.eval(
        script,
        0,
        queue,
        from,
        Math.min(perQueue, from + 5_000),
        nowS,
        bytes,
        failed,
        ...fingerprints,
      );
};
const fillFile = async (path: string) => {
  const database = (await loadDriver())(path);
  const nowS = Math.floor(Date.now() / 1_000);
  database.exec("BEGIN");
  for (const queue of queues) {
    database
      .prepare(
        `INSERT INTO task (queue, id, state, rank, failure, message) WITH RECURSIVE n(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM n WHERE n < ${perQueue - 1}) SELECT ?, 'id-' || n, 'archived', ? - n % ${dayS}, ?, ? FROM n`,
      )
      .run(queue, nowS, failed, bytes);
    database
      .prepare(
        "UPDATE task SET fingerprint = json_extract(?, '$[' || (substr(id, 4) % ?) || ']') WHERE queue = ? AND id LIKE 'id-%'",
      )
      .run(JSON.stringify(fingerprints), causes, queue);
    database.prepare("UPDATE queue SET archived = archived + ? WHERE name = ?").run(perQueue, queue);
    database.prepare("UPDATE failure_group SET members = members + ? WHERE queue = ?").run(perQueue / causes, queue);
  }
  database.exec("COMMIT");
  database.close();
};

async function timed<T>(what: string, times: number, work: () => Promise<T>): Promise<T> {
  const took: number[] = [];
  let last!: T;
  for (let n = 0; n < times; n += 1) {
    const began = performance.now();
    last = await work();
    took.push(performance.now() - began);
  }
  const sorted = took.toSorted((a, b) => a - b);
  const at = (share: number) => sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))]!.toFixed(1);
  console.log(`  ${what.padEnd(44)} ${times === 1 ? `${at(0)} ms` : `median ${at(0.5)} ms, p95 ${at(0.95)} ms`}`);
  return last;
}

async function measure(name: string, url: string, fill: () => void | Promise<void>): Promise<void> {
  await using broker = connect(url);
  await die(broker);
  await fill();
  console.log(
    `${name}, ${letters.toLocaleString("en-US")} dead letters of ${causes} causes in ${queues.length} queues`,
  );
  const store = broker.deadLetters!;
  const facade = new DeadLetters(broker);
  const { groups, unindexed } = await timed("list of all groups", 50, () => facade.groups());
  console.log(
    `  ${groups.length} groups, ${groups.reduce((sum, { count }) => sum + count, 0)} in them, ${unindexed} in none`,
  );
  const { fingerprint } = groups[0]!;
  await timed("one group", 50, () => facade.group(fingerprint));
  const first = await timed("first page of a group, 30 dead letters", 50, () => facade.groupTasks(fingerprint));
  let { next } = first;
  await timed(
    "the pages that follow",
    50,
    async () => ({ next } = await facade.groupTasks(fingerprint, { cursor: next })),
  );
  await timed("last page", 50, () => facade.groupTasks(fingerprint, { backwards: true }));
  await timed("a step of the index where nothing is new", 50, () =>
    store.indexDeadLetters(queues, batch, broker.clock.nowMs()),
  );
}

/** What the server's processor does for the index in steps a second apart, and nothing of the deaths themselves. */
async function costOfIndex(url: string, server: RedisServer, seconds = 20): Promise<void> {
  await using broker = connect(url);
  const [queue = ""] = queues;
  const spentMs = async () =>
    [...(await server.admin.info("cpu")).matchAll(/used_cpu_\w+_main_thread:([\d.]+)/g)].reduce(
      (sum, [, cpuS]) => sum + Number(cpuS) * 1_000,
      0,
    );
  const measured = async (what: string, deaths: number) => {
    const took: number[] = [];
    for (let second = 0; second < seconds; second += 1) {
      const next = performance.now() + 1_000;
      if (deaths > 0) await dieIn(broker, queue, `${what}-${second}`, deaths);
      const before = await spentMs();
      await broker.deadLetters!.indexDeadLetters([queue], batch, broker.clock.nowMs());
      took.push((await spentMs()) - before);
      await new Promise((resolve) => setTimeout(resolve, next - performance.now()));
    }
    const sorted = took.toSorted((a, b) => a - b);
    const [median, most] = [sorted[seconds / 2]!, sorted.at(-1)!].map((ms) => ms.toFixed(2));
    console.log(`  a step of the index, ${what.padEnd(40)} median ${median} ms, most ${most} ms of Redis's processor`);
  };
  await measured("quiet", 0);
  await measured("50 deaths a second", 50);
  // Ten minutes have gone: all is walked through.
  for (const [what, deaths] of [
    ["walked through, quiet", 0],
    ["walked through, 50 deaths a second", 50],
  ] as const) {
    await server.admin.hset(`holdfast:{${queue}}:index`, "walked", 1);
    await measured(what, deaths);
  }
}

const wants = (engine: string) => engines.length === 0 || engines.includes(engine);
if (wants("redis")) {
  await using server = await RedisServer.start();
  await measure("Redis", server.url, () => fillRedis(server));
  await costOfIndex(server.url, server);
}
if (wants("file")) {
  const folder = mkdtempSync(join(tmpdir(), "holdfast-groups-"));
  const path = join(folder, "tasks.db");
  await measure("SQLite on a file", `file:${path}`, () => fillFile(path)).finally(() =>
    rmSync(folder, { recursive: true }),
  );
}
