import { afterEach, expect, it } from "vitest";
import type { EnqueueOptions } from "../../src/client/policy.js";
import { canCutPower, cutPower, serverToCut } from "../support/power-cut.js";
import { describeRedis, RedisServer, type ServerOptions } from "../support/redis-server.js";
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

/** Tasks are accepted until Redis dies; the answer is how many there were, and how many of them are gone then. */
async function afterDeath(server: RedisServer, options: EnqueueOptions, die: () => Promise<unknown>) {
  const accepted = new Accepted(server.url, { timeout: "400ms", ...options });
  accepted.begin();
  await accepted.more(300);
  if (persistence.snapshots.save === (await server.admin.config("GET", "save"))[1]) await server.admin.save();
  await accepted.more(300);
  await die();
  await accepted[Symbol.asyncDispose]();
  await server.start();
  return { accepted: accepted.ids.size, lost: await accepted.lostAt(server) };
}

describeRedis("what was accepted, after Redis was killed with -9 and started again", () => {
  it.each<[Persistence, EnqueueOptions, "all" | "some" | "none"]>([
    ["none", {}, "all"],
    ["snapshots", {}, "some"],
    ["everysec", {}, "none"],
    ["always", {}, "none"],
    ["always", { accept: "fsync" }, "none"],
  ])("with persistence %s and %j: %s of it is lost", async (kind, options, expected) => {
    const server = opened(await RedisServer.start({ config: persistence[kind] }));

    const { accepted, lost } = await afterDeath(server, options, () => server.kill());

    expect(lost === 0 ? "none" : lost === accepted ? "all" : "some").toBe(expected);
  });
});

describeRedis("what was accepted, after a power cut under Redis", () => {
  it.skipIf(!canCutPower).each<[Persistence, EnqueueOptions, "some" | "none"]>([
    ["everysec", {}, "some"],
    ["always", {}, "none"],
    ["always", { accept: "fsync" }, "none"],
  ])("with persistence %s and %j: %s of it is lost", async (kind, options, expected) => {
    const server = opened(await serverToCut(persistence[kind]));

    const { lost } = await afterDeath(server, options, () => cutPower(server));

    expect(lost === 0 ? "none" : "some").toBe(expected);
  });
});
