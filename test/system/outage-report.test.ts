import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import {
  type Broker,
  Client,
  connect,
  type ConnectOptions,
  defineTask,
  Inspector,
  type Outage,
  outageMarkdown,
} from "../../src/index.js";
import { OutageFiles } from "../../src/embedded/spool/outage-files.js";
import { CliHost } from "../support/cli.js";
import { describeRedis, RedisServer } from "../support/redis-server.js";
import { until } from "../support/until.js";

const silent = () => {};
const quiet = { debug: silent, info: silent, warn: silent, error: silent };
const work = defineTask<{ n: number }>("work");
/** What a process wrote that is gone. */
const record = {
  id: "0190a0a0-0000-7000-8000-000000000000",
  process: "gone:1",
  broker: "redis://gone",
  problem: "refused",
  counts: { spooled: 11, waiting: 11 },
};
const some = (count: number) => Array.from({ length: count }, (_, n) => work({ n }));

describeRedis("the outage report", () => {
  let directory: string;
  const brokers: Broker[] = [];
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), "holdfast-outages-"));
  });
  afterEach(async () => {
    await Promise.all(brokers.splice(0).map((broker) => broker.close()));
    rmSync(directory, { recursive: true, force: true });
  });
  const open = (server: RedisServer, options: ConnectOptions = {}) => {
    const broker = connect(server.url, { log: quiet, ...options });
    brokers.push(broker);
    return broker;
  };
  const told = (broker: Broker, is: (outage: Outage) => boolean) =>
    until("the outage is told", async () => (await new Inspector(broker).outages()).find(is), 20_000);
  /** A connection that is not yet known to be lost takes them. */
  const failed = ({ notSent, unknown }: Outage["counts"]) => notSent + unknown;
  /** Tasks that the server has, of all that were enqueued. */
  const inRedis = (server: RedisServer) => server.admin.llen("asynq:{default}:pending");
  const marked = (server: RedisServer) =>
    until("it has its mark", async () => (await server.admin.exists("holdfast:data")) === 1);

  it("of a kill -9 with an append-only file: what was spooled, refused and delayed, and nothing lost", async () => {
    await using server = await RedisServer.start({ config: { appendonly: "yes", appendfsync: "always" } });
    const spooling = open(server, { spool: { directory, trustAfter: "1s" } });
    const plain = open(server);
    const [spoolClient, plainClient] = [
      new Client(spooling, { timeout: "30s" }),
      new Client(plain, { timeout: "300ms" }),
    ];
    await spoolClient.enqueueAll(some(5));
    await plainClient.enqueueAll(some(7));
    await marked(server);

    await server.kill();
    const awayMs = Date.now();
    await spoolClient.enqueueAll(some(20));
    const spooledMs = Date.now();
    await expect(plainClient.enqueueAll(some(3))).rejects.toMatchObject({ code: "BROKER_UNAVAILABLE" });
    await until("they have waited for a while", () => Date.now() > spooledMs + 1_000);
    await server.start();
    const backMs = Date.now();
    await until("all are delivered", async () => (await inRedis(server)) === 32, 20_000);
    await plain.ping();

    const outage = await told(plain, ({ counts }) => counts.delivered === 20 && failed(counts) === 3);
    expect(outage.counts).toMatchObject({ spooled: 20, waiting: 0, refused: 0, parked: 0 });
    expect(outage.change).toMatchObject({ kind: "restarted", appendOnly: true });
    expect(outage.lost).toMatchObject({ tasks: 0, unknown: outage.counts.unknown });
    expect(outage.lost.afterPowerCut).toBeLessThanOrEqual(12);
    expect(outage.beganAtMs).toBeGreaterThanOrEqual(awayMs - 100);
    expect(outage.endedAtMs!).toBeGreaterThanOrEqual(backMs - 100);
    expect(outage.counts.longestDelayMs).toBeGreaterThan(900);
    expect(outageMarkdown([outage])).toContain("20 tasks were accepted all the same and delivered later");
    // What is on this machine's disk is the same, and there without Redis.
    const [own] = await new OutageFiles(directory).readOutages();
    expect(own!.counts).toMatchObject({ spooled: 20, delivered: 20 });
  });

  it("of a restart without data: all that had been acknowledged and is not sent again is lost", async () => {
    await using server = await RedisServer.start();
    const plain = open(server);
    await new Client(plain).enqueueAll(some(9));
    await marked(server);

    await server.kill();
    await server.start();
    await plain.ping();

    const outage = await told(plain, ({ change }) => change?.kind === "other");
    expect(await inRedis(server)).toBe(0);
    expect(outage.lost).toEqual({ tasks: 9, certain: true, finished: 0, afterPowerCut: 0, unknown: 0 });
    expect(outageMarkdown([outage])).toContain("9 tasks that Redis acknowledged ever: the data are gone");
  });

  it("of one that came back older: what it has not any more is within what the report says", async () => {
    await using server = await RedisServer.start({ config: { save: "3600 1" } });
    const plain = open(server);
    const client = new Client(plain);
    await client.enqueueAll(some(50));
    await marked(server);
    await plain.incarnations(["default"], 2_000);
    const earlyMs = Date.now();
    await until("counts are taken every second", () => Date.now() > earlyMs + 1_100);
    await plain.ping();
    await plain.incarnations(["default"], 2_000);
    await server.admin.save();
    await client.enqueueAll(some(4));
    await plain.incarnations(["default"], 2_000);

    await server.kill();
    await server.start();
    await plain.ping();

    const outage = await told(plain, ({ change }) => change?.kind === "older");
    expect(await inRedis(server)).toBe(50);
    expect(outage.lost).toMatchObject({ tasks: 4, certain: true, finished: 0 });
    expect(outage.change!.keptUntilMs).toBeGreaterThanOrEqual(earlyMs);
  });

  it("of another server in its place: spooled tasks that are sent again are not among the lost", async () => {
    await using server = await RedisServer.start({ config: { save: "3600 1", dbfilename: "other.rdb" } });
    const other = connect(server.url, { log: quiet });
    await new Client(other).enqueueAll(some(2));
    await marked(server);
    await other.close();
    await server.admin.save();
    await server.kill();
    await server.start("loaded", { dbfilename: "own.rdb" });
    const spooling = open(server, { spool: { directory, trustAfter: "30s" } });
    const client = new Client(spooling, { accept: "spool", timeout: "30s" });
    await client.enqueueAll(some(6));
    await until("they are delivered", async () => (await inRedis(server)) === 6);
    // Until then what comes goes behind them, into the spool.
    await until("the spool has heard of it", () => !spooling.spool!.holds("default"));
    await client.enqueueAll(some(3), { accept: "redis" });

    await server.kill();
    await server.start();

    await until("they are sent again", async () => (await inRedis(server)) >= 8, 20_000);
    await spooling.ping();
    const outage = await told(spooling, ({ change, counts }) => change?.kind === "other" && counts.replayed >= 6);
    expect(await inRedis(server)).toBe(2 + 6);
    expect(outage.lost).toMatchObject({ tasks: 3, certain: true });
  });

  it("has what a process wrote that did not live to see Redis again", async () => {
    await using server = await RedisServer.start();
    const dead = { ...record, beganAtMs: Date.now() - 5_000, updatedAtMs: Date.now() - 1_000 };
    await new OutageFiles(directory).writeOutages([dead as never]);
    const broker = open(server, { spool: directory });
    await broker.ping();

    const outage = await told(broker, ({ processes }) => processes.includes("gone:1"));
    expect(outage.endedAtMs).toBeUndefined();
    expect(outage.counts).toMatchObject({ spooled: 11, waiting: 11, delivered: 0 });
  });

  it("is told by the program: for people, for programs, and by a spool alone while Redis is away", async () => {
    await using server = await RedisServer.start();
    const nowMs = Date.now();
    const counts = { spooled: 12, delivered: 12, notSent: 2, longestDelayMs: 61_000 };
    const ended = {
      ...record,
      beganAtMs: nowMs - 90_000,
      endedAtMs: nowMs - 30_000,
      updatedAtMs: nowMs - 29_000,
      counts,
    };
    await new OutageFiles(directory).writeOutages([ended as never]);
    await using host = new CliHost();
    const where = ["--url", server.url, "--spool", directory];

    const people = await host.run("outage", "report", ...where);
    const programs = await host.run("outage", "report", "--json", ...where);
    const nothing = await host.run("outage", "report", "--since", "1s", ...where);
    await server.kill();
    const alone = await host.run("outage", "report", "--json", ...where);
    const neither = await host.run("outage", "report", "--url", server.url);

    expect([people, programs, nothing, alone, neither].map(({ status }) => status)).toEqual([0, 0, 0, 0, 5]);
    expect(people.stdout).toMatch(/^# Outage of .* UTC, 60 s\n\n## Message for stakeholders\n/);
    expect(people.stdout).toContain("12 tasks were accepted all the same and delivered later, up to 61 s late.");
    expect(people.stdout).toContain("- Not accepted, not sent: 2\n");
    const json = JSON.parse(programs.stdout) as object[];
    expect(json).toMatchObject([{ durationMs: 60_000, counts, lost: { tasks: 0 }, change: null }]);
    expect(nothing.stderr).toBe("No outage is on record in the last 1s.\n");
    expect(JSON.parse(alone.stdout)).toEqual(json);
    expect(alone.stderr).toContain("cannot be reached: this is what the spools know.");
  });
});
