import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, expect, it } from "vitest";
import type { EnqueueOptions } from "../../src/client/policy.js";
import { silent } from "../../src/core/log.js";
import { canCutPower, cutPower, serverToCut } from "../support/power-cut.js";
import { describeRedis, RedisServer, type ServerOptions } from "../support/redis-server.js";
import { connect } from "../../src/index.js";
import { until } from "../support/until.js";
import { Accepted } from "./accept.js";

const resources: AsyncDisposable[] = [];
const opened = <T extends AsyncDisposable>(resource: T): T => (resources.push(resource), resource);

afterEach(async () => {
  for (const resource of resources.splice(0).toReversed()) await resource[Symbol.asyncDispose]();
});

const persistence = {
  none: {},
  snapshots: { save: "3600 1000000" },
  everysec: { appendonly: "yes", appendfsync: "everysec" },
  always: { appendonly: "yes", appendfsync: "always" },
} satisfies Record<string, ServerOptions["config"]>;
type Persistence = keyof typeof persistence;

/** It has a replica, which follows it again when it has been started again by itself. */
async function followed({ port, admin }: RedisServer): Promise<void> {
  opened(await RedisServer.start({ config: { replicaof: `127.0.0.1 ${port}` } }));
  await until("it is followed", async () => (await admin.info("replication")).includes("state=online"));
}

/** Tasks are accepted until Redis dies; the answer is how many there were, and how many of them are gone then. */
async function afterDeath(server: RedisServer, options: EnqueueOptions, die: () => Promise<unknown>, leastMs = 0) {
  const directory = mkdtempSync(join(tmpdir(), "holdfast-accept-"));
  opened({ [Symbol.asyncDispose]: async () => rmSync(directory, { recursive: true, force: true }) });
  const spool = options.accept === "spool" ? { spool: { directory, trustAfter: "1m" } as const } : {};
  const broker = connect(server.url, { timeout: "1s", log: silent, ...spool });
  const accepted = opened(new Accepted(server.url, { timeout: "400ms", ...options }, broker));
  accepted.begin();
  await accepted.more(300);
  if (persistence.snapshots.save === (await server.admin.config("GET", "save"))[1]) await server.admin.save();
  await accepted.more(300);
  const endAt = performance.now() + leastMs;
  await until("time has passed", () => performance.now() > endAt);
  await die();
  const diedAt = performance.now();
  await accepted.end();
  await server.start();
  if (options.accept === "spool")
    await until("all are there", async () => (await accepted.lostAt(server)) === 0, 30_000);
  const lost = await accepted.lostAt(server);
  return { accepted: accepted.ids.size, lost, lostOfOld: await accepted.lostAt(server, diedAt - 2_500) };
}

describeRedis("what was accepted, after Redis was killed with -9 and started again", () => {
  it.each<[Persistence, EnqueueOptions, "all" | "some" | "none"]>([
    ["none", {}, "all"],
    ["snapshots", {}, "some"],
    ["always", {}, "none"],
    ["always", { accept: "fsync" }, "none"],
    ["snapshots", { accept: "replicas" }, "some"],
    ["always", { accept: "replicas" }, "none"],
  ])("with persistence %s and %j: %s of it is lost", async (kind, options, expected) => {
    const server = opened(await RedisServer.start({ config: persistence[kind] }));
    if (options.accept === "replicas") await followed(server);

    const { accepted, lost } = await afterDeath(server, options, () => server.kill());

    expect(lost === 0 ? "none" : lost === accepted ? "all" : "some").toBe(expected);
  });

  it.each<EnqueueOptions>([{}, { accept: "replicas" }])(
    "with persistence everysec and %j: nothing is lost but what Redis held back for two seconds while its disk was busy",
    async (options) => {
      const server = opened(await RedisServer.start({ config: persistence.everysec }));
      if (options.accept === "replicas") await followed(server);

      const { lostOfOld } = await afterDeath(server, options, () => server.kill(), 3_500);

      expect(lostOfOld).toBe(0);
    },
  );
});

describeRedis("what was accepted, after a power cut under Redis", () => {
  it.skipIf(!canCutPower).each<[Persistence, EnqueueOptions, "some" | "none"]>([
    ["everysec", {}, "some"],
    ["everysec", { accept: "spool" }, "none"],
    ["always", {}, "none"],
    ["always", { accept: "fsync" }, "none"],
    ["always", { accept: "spool" }, "none"],
    ["everysec", { accept: "replicas" }, "some"],
    ["always", { accept: "replicas" }, "none"],
  ])("with persistence %s and %j: %s of it is lost", async (kind, options, expected) => {
    const server = opened(await serverToCut(persistence[kind]));
    if (options.accept === "replicas") await followed(server);

    const { lost } = await afterDeath(server, options, () => cutPower(server));

    expect(lost === 0 ? "none" : "some").toBe(expected);
  });
});
