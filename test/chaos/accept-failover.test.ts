import { afterEach, expect, it } from "vitest";
import type { EnqueueOptions } from "../../src/client/policy.js";
import { FaultProxy } from "../support/fault-proxy.js";
import { describeRedis, RedisServer } from "../support/redis-server.js";
import { until } from "../support/until.js";
import { Accepted } from "./accept.js";

const resources: AsyncDisposable[] = [];
const opened = <T extends AsyncDisposable>(resource: T): T => (resources.push(resource), resource);

afterEach(async () => {
  for (const resource of resources.splice(0).toReversed()) await resource[Symbol.asyncDispose]();
});

const always = { appendonly: "yes", appendfsync: "always" };

describeRedis("what was accepted, after the master died and a replica took over that had been cut off before", () => {
  it.each<[EnqueueOptions, "lost" | "kept"]>([
    [{ accept: "redis" }, "lost"],
    [{ accept: "fsync" }, "lost"],
    [{ accept: "replicas" }, "kept"],
  ])("with %j it is %s", async (options, expected) => {
    const master = opened(await RedisServer.start({ config: always }));
    const cable = opened(await FaultProxy.to(master.port));
    const replica = opened(await RedisServer.start({ config: { replicaof: `127.0.0.1 ${cable.port}` } }));
    await until("it follows", async () => (await master.admin.info("replication")).includes("state=online"));
    const accepted = opened(new Accepted(master.url, { timeout: "400ms", ...options }));
    accepted.begin();
    await accepted.more(200);
    cable.set({ kind: "blackHole" });
    // What needs no replica goes on being accepted; what does is written, and nobody is told that it was accepted.
    const has = await replica.admin.llen("asynq:{default}:pending");
    const written = async () => (await master.admin.llen("asynq:{default}:pending")) > has + 20;
    await until("more is written than the replica has", written, 20_000);

    await master.kill();
    await accepted.end();
    await replica.admin.replicaof("NO", "ONE");

    expect((await accepted.lostAt(replica)) > 0 ? "lost" : "kept").toBe(expected);
  });
});

describeRedis("what was accepted, after the master had started again empty and its replica had followed it", () => {
  it("is lost, though replicas had it: a master without persistence must not start by itself", async () => {
    const master = opened(await RedisServer.start());
    const replica = opened(await RedisServer.start({ config: { replicaof: `127.0.0.1 ${master.port}` } }));
    await until("it follows", async () => (await master.admin.info("replication")).includes("state=online"));
    const accepted = opened(new Accepted(master.url, { timeout: "400ms", accept: "replicas" }));
    accepted.begin();
    await accepted.more(100);
    await accepted.end();

    await master.kill();
    await master.start();
    await until("it follows again", async () => (await master.admin.info("replication")).includes("state=online"));

    expect(await until("it has emptied itself", () => accepted.lostAt(replica))).toBe(accepted.ids.size);
  });
});
