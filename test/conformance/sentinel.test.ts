import { expect, it } from "vitest";
import { count, failure, linkTo } from "../support/link-probe.js";
import { describeRedis, RedisServer } from "../support/redis-server.js";
import { RedisSentinels } from "../support/redis-sentinels.js";
import { until } from "../support/until.js";

describeRedis("link to the master that Sentinels watch", () => {
  it("asks a majority of the Sentinels, and nobody else", async () => {
    await using redis = await RedisSentinels.start();
    const { url, master, replica, sentinels } = redis;
    const link = linkTo(url);

    expect(await link.run([count("n")])).toEqual([1]);
    expect((await link.nodes()).map(({ address }) => address.port)).toEqual([master.port]);

    await sentinels[0]!.kill();
    const without = linkTo(url);
    expect(await without.run([count("n")])).toEqual([2]);

    const unknown = linkTo(url.replace("master=tasks", "master=other"));
    expect(await failure(unknown.run([count("n")]))).toMatchObject({
      code: "BROKER_INCOMPATIBLE",
      message: expect.stringContaining('its Sentinels know no master "other"'),
    });
    const mistaken = linkTo(url.replaceAll(String(sentinels[1]!.port), String(replica.port)));
    expect(await failure(mistaken.run([count("n")]))).toMatchObject({
      code: "BROKER_INCOMPATIBLE",
      message: expect.stringContaining(`127.0.0.1:${replica.port} is no Sentinel`),
    });

    await sentinels[1]!.kill();
    const minority = linkTo(url);
    expect((await failure(minority.run([count("n")], { taskIds: ["a"] }))).data).toMatchObject({
      outcome: "notSent",
      taskIds: ["a"],
      problem: expect.stringContaining("1 of 3 Sentinels answered, 2 must"),
    });
    // Who is connected needs no Sentinel.
    expect(await link.run([count("n")])).toEqual([3]);
    await Promise.all([link, without, unknown, mistaken, minority].map((one) => one.close()));
  }, 30_000);

  it("is one user at the Sentinels and another at the master", async () => {
    await using redis = await RedisSentinels.start({
      data: { requirepass: "data-pass-w0rd", masterauth: "data-pass-w0rd" },
      sentinel: {
        requirepass: "watch-pass-w0rd",
        sentinel: ["sentinel-pass watch-pass-w0rd", "auth-pass tasks data-pass-w0rd"],
      },
    });
    const url = redis.url.replace("//", "//:watch-pass-w0rd@");
    const links = [
      linkTo(url, { password: "data-pass-w0rd" }),
      linkTo(redis.url, { password: "data-pass-w0rd" }),
      linkTo(url, { password: "not-the-pass-w0rd" }),
    ];

    expect(await links[0]!.run([count("n")])).toEqual([1]);
    for (const link of links.slice(1)) expect((await failure(link.run([count("n")]))).code).toBe("BROKER_INCOMPATIBLE");
    expect(links[0]!.label).toBe(redis.url);

    // Both are changed, and all connections cut.
    let secrets = { data: "data-pass-w0rd", watch: "watch-pass-w0rd" };
    const asking = linkTo(redis.url, { password: () => secrets.data, sentinelPassword: async () => secrets.watch });
    expect(await asking.run([count("n")], { timeoutMs: 5_000 })).toEqual([2]);
    for (const [servers, secret] of [
      [[redis.master], "data"],
      [redis.sentinels, "watch"],
    ] as const) {
      for (const { admin } of servers) {
        await admin.call("ACL", "SETUSER", "default", `>fresh-${secret}-pass-w0rd`, `<${secret}-pass-w0rd`);
      }
    }
    await redis.master.cut();
    for (const sentinel of redis.sentinels) await sentinel.cut();
    expect((await failure(asking.run([count("n")]))).data).toMatchObject({ outcome: "notSent" });
    secrets = { data: "fresh-data-pass-w0rd", watch: "fresh-watch-pass-w0rd" };
    await until("it is let in", async () => (await asking.run([count("n")]).catch(() => undefined))?.[0] === 3);
    await asking.close();
    await Promise.all(links.map((one) => one.close()));
  }, 30_000);

  it("does not take a replica for the master", async () => {
    await using redis = await RedisSentinels.start();
    await using stale = await RedisServer.start();
    // As in the middle of a failover: what they name is a replica still.
    const link = linkTo(redis.url);
    for (const sentinel of redis.sentinels) {
      await sentinel.admin.call("SENTINEL", "REMOVE", "tasks");
      await sentinel.admin.call("SENTINEL", "MONITOR", "tasks", "127.0.0.1", stale.port, "2");
    }
    await stale.admin.replicaof("127.0.0.1", redis.master.port);

    expect((await failure(link.run([count("n")]))).data).toMatchObject({
      outcome: "notSent",
      problem: `127.0.0.1:${stale.port} is not the master that it is said to be`,
    });
    await link.close();
  }, 30_000);
});
