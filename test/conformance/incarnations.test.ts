import { describe, expect, it } from "vitest";
import type { Broker } from "../../src/broker/broker.js";
import type { Incarnation } from "../../src/broker/incarnation.js";
import type { DisciplinedClock } from "../../src/core/clock.js";
import { HoldfastError } from "../../src/core/errors.js";
import { silent } from "../../src/core/log.js";
import { embeddedBroker } from "../../src/embedded/index.js";
import { resolve } from "../../src/core/settings.js";
import { Incarnations } from "../../src/redis/incarnations.js";
import { redisBroker } from "../../src/redis/index.js";
import { linkOptions } from "../../src/redis/link-options.js";
import { openLink } from "../../src/redis/open-link.js";
import { redisSettings } from "../../src/redis/options.js";
import { brokerEvents } from "../support/broker-events.js";
import { RedisCluster } from "../support/redis-cluster.js";
import { RedisSentinels } from "../support/redis-sentinels.js";
import { describeRedis, RedisServer } from "../support/redis-server.js";
import { until } from "../support/until.js";

/** One that can be told, whatever is under way. */
const told = (broker: Broker, queue = "q"): Promise<Incarnation> =>
  until(
    "the incarnation can be told",
    async () => (await broker.incarnations([queue], 1_000).catch(ignoreAway))[0],
    30_000,
  );
const now = async (broker: Broker, queue = "q") => (await broker.incarnations([queue], 1_000).catch(ignoreAway))[0];

function ignoreAway(error: unknown): undefined[] {
  if (HoldfastError.is(error, "BROKER_UNAVAILABLE")) return [];
  throw error;
}

describe("incarnations", () => {
  const eventsOf = brokerEvents();
  const withBroker = async (url: string, body: (broker: Broker) => Promise<void>) => {
    const broker = redisBroker({ url, log: silent });
    try {
      await body(broker);
    } finally {
      await broker.close();
    }
  };

  it("are one and the same on a file or in memory", async () => {
    const broker = embeddedBroker({ file: ":memory:" });
    expect(await broker.incarnations(["a", "b"])).toEqual(
      ["a", "b"].map(() => ({ id: "memory:", persistence: "aof" })),
    );
    expect(broker.trustAfterMs).toBe(0);
    await broker.close();
  });

  describeRedis("of one server", () => {
    it("stay as long as it runs, and change when it is restarted, even with all its data", async () => {
      await using server = await RedisServer.start({ config: { appendonly: "yes" } });
      await withBroker(server.url, async (broker) => {
        expect(broker.trustAfterMs).toBe(20_000);
        const first = await told(broker);
        expect(await broker.incarnations(["a", "b"], 1_000)).toMatchObject([{ id: first.id }, { id: first.id }]);
        expect([first.persistence, broker.trustAfterMs]).toEqual(["aof", 5_000]);
        await until("it is on the disk", async () => (await server.admin.info()).includes("aof_pending_bio_fsync:0"));
        await server.admin.config("SET", "appendfsync", "always");
        await server.kill();
        expect(await now(broker)).toBeUndefined();
        await server.start();
        const second = await told(broker);
        expect(second.id).not.toBe(first.id);
        expect(second.id.split(" ").at(-1)).toBe(first.id.split(" ").at(-1));
        expect(eventsOf("incarnationChanged")).toMatchObject([{ changed: ["run id", "replication id"] }]);
        expect(eventsOf("dataLost")).toEqual([]);
      });
    });

    it("change when the data are others: emptied, or not there after a restart", async () => {
      await using server = await RedisServer.start();
      await withBroker(server.url, async (broker) => {
        const first = await told(broker);
        expect(first.persistence).toBe("none");
        await server.admin.flushall();
        const second = await told(broker);
        await server.kill();
        await server.start();
        const third = await told(broker);
        expect(new Set([first.id, second.id, third.id]).size).toBe(3);
        expect(eventsOf("incarnationChanged").map(({ changed }) => changed)).toEqual([
          ["data"],
          ["run id", "replication id", "data"],
        ]);
        expect(eventsOf("dataLost")).toHaveLength(2);
      });
    });

    it("tell that data came back older", async () => {
      await using server = await RedisServer.start({ config: { save: "3600 1" } });
      await withBroker(server.url, async (broker) => {
        const first = await told(broker);
        expect([first.persistence, first.savedUntilMs]).toEqual(["snapshot", undefined]);
        let saved = first;
        // Its end is told in whole seconds, as that of the one before is.
        await until("a save was seen", async () => {
          await server.admin.save();
          saved = await told(broker);
          return saved.savedUntilMs !== undefined;
        });
        expect(saved.id).toBe(first.id);
        expect(saved.savedUntilMs! - Date.now()).toBeLessThan(0);
        expect(saved.savedUntilMs! - Date.now()).toBeGreaterThan(-5_000);
        await server.admin.mset(Object.fromEntries(Array.from({ length: 200 }, (_, n) => [`key:${n}`, ""])));
        await told(broker);
        await server.kill();
        await server.start();
        expect((await told(broker)).id).not.toBe(first.id);
        expect(eventsOf("dataLost")).toMatchObject([
          { problem: expect.stringMatching(/as it was at .*: 2 keys, there were 202/) },
        ]);
      });
    });

    it("cannot be told of a replica", async () => {
      await using server = await RedisServer.start();
      await using other = await RedisServer.start();
      await withBroker(server.url, async (broker) => {
        const first = await told(broker);
        await server.admin.replicaof("127.0.0.1", other.port);
        expect(await now(broker)).toBeUndefined();
        await server.admin.replicaof("NO", "ONE");
        expect((await told(broker)).id).not.toBe(first.id);
      });
    });

    it("have nothing that a missing replica lacks, also when the server's clock jumps ahead", async () => {
      const config = { "repl-diskless-sync-delay": "0" };
      await using server = await RedisServer.start({ config });
      await using near = await RedisServer.start({ config });
      await using far = await RedisServer.start({ config });
      for (const { admin } of [near, far]) await admin.replicaof("127.0.0.1", server.port);
      await withBroker(server.url, async (broker) => {
        const haveUntilMs = async () => (await told(broker)).replicas?.haveUntilMs ?? Number.NEGATIVE_INFINITY;
        const following = async () => (await server.admin.info()).match(/state=online/g)?.length;
        await until("both follow", async () => (await following()) === 2);
        await until("both have all", async () => (await haveUntilMs()) > 0);
        await far.kill();
        await until("it is missed", async () => (await following()) === 1);
        await server.admin.set("later", "");
        const laterMs = performance.now();
        const otherHasIt = () => until("the other one has all", async () => (await server.admin.wait(1, 5_000)) === 1);
        await otherHasIt();
        expect(await haveUntilMs()).toBeLessThan(laterMs);

        const hourMs = 3_600_000;
        (broker.clock as DisciplinedClock).observe(Date.now() + hourMs, 0);
        expect(broker.clock.nowMs()).toBeGreaterThan(Date.now() + hourMs / 2);
        await haveUntilMs();
        await server.admin.set("later", "still");
        await otherHasIt();
        expect(await haveUntilMs()).toBeLessThan(laterMs);
      });
    });

    it("are for nobody who may not ask, and it says why; who may not see the mark does without", async () => {
      const all = "on nopass +@all ~*";
      await using server = await RedisServer.start({
        config: {
          user: [`blind ${all} -info`, "bounded on nopass +@all ~asynq:* ~holdfast:{* ~holdfast:schema"],
        },
      });
      await withBroker(server.url.replace("//", "//blind:x@"), async (broker) => {
        await expect(broker.incarnations(["q"], 1_000)).rejects.toMatchObject({
          code: "BROKER_INCOMPATIBLE",
          message: expect.stringContaining("allow +info"),
        });
      });
      await withBroker(server.url.replace("//", "//bounded:x@"), async (broker) => {
        expect((await told(broker)).id).toMatch(/^[0-9a-f]{40} [0-9a-f]{40} $/);
      });
    });
  });

  describeRedis("behind Sentinels", () => {
    it("need a majority of them, and change with a failover by hand", async () => {
      await using redis = await RedisSentinels.start();
      await withBroker(redis.url, async (broker) => {
        const first = await told(broker);
        expect(first.id.split(" ")).toContain(`127.0.0.1:${redis.master.port}`);
        expect(broker.trustAfterMs).toBe(20_000);

        for (const { admin } of redis.sentinels.slice(1))
          await admin.call("SENTINEL", "SET", "tasks", "down-after-milliseconds", "9000");
        await until("that is seen", async () => (await now(broker)) && broker.trustAfterMs === 28_000);

        redis.sentinels[0]!.freeze();
        redis.sentinels[1]!.freeze();
        expect(await now(broker)).toBeUndefined();
        redis.sentinels[0]!.thaw();
        redis.sentinels[1]!.thaw();
        expect((await told(broker)).id).toBe(first.id);

        await redis.master.admin.wait(1, 5_000);
        const beganMs = Date.now();
        await redis.sentinels[0]!.admin.call("SENTINEL", "FAILOVER", "tasks");
        const seen = new Set<string | undefined>();
        const second = await until(
          "the new master is told",
          async () => {
            const one = await now(broker);
            seen.add(one?.id);
            return one !== undefined && one.id !== first.id ? one : undefined;
          },
          30_000,
        );
        // In between nothing was sure.
        expect(seen).toContain(undefined);
        expect(second.id.split(" ")).toContain(`127.0.0.1:${redis.replica.port}`);
        expect(eventsOf("incarnationChanged")).toMatchObject([
          { changed: expect.arrayContaining(["run id", "address", "epoch"]) },
        ]);
        // Sentinel does not hold writes back: a mark of the last moments may not have reached the replica, and no more than that.
        const lost = eventsOf("dataLost") as unknown as readonly { keptUntilMs: number }[];
        expect(lost.filter(({ keptUntilMs }) => keptUntilMs < beganMs - 1_000)).toEqual([]);
      });
    }, 60_000);
  });

  describeRedis("on a Cluster", () => {
    it("are looked at on the nodes that are there while another one is away", async () => {
      await using cluster = await RedisCluster.start(3, { "cluster-require-full-coverage": "no" });
      const options = linkOptions(resolve(redisSettings, { url: cluster.url }, "link"), "link");
      const link = openLink(options);
      const nothing = () => {};
      const looks = new Incarnations(link, options, { onChanged: nothing, onLost: nothing, onForbidden: nothing });
      await until("all have their marks", async () => (await looks.of(["q"], 1_000))[0] !== undefined);
      await cluster.masters[0]!.kill();
      const whole = await looks.areSame(1_000);
      await cluster.masters[1]!.admin.flushall();
      const emptied = await looks.areSame(1_000);
      await link.close();
      expect({ whole, emptied }).toEqual({ whole: true, emptied: false });
    });

    it("are each queue's own, and change with the failover of its shard alone", async () => {
      await using cluster = await RedisCluster.start();
      const [mine, other] = ["{a}", "{b}"].map((tag) => tag.slice(1, -1)) as [string, string];
      const key = `asynq:{${mine}}:`;
      expect(cluster.masterOf(key)).not.toBe(cluster.masterOf(`asynq:{${other}}:`));
      const replica = await cluster.addReplica(key);
      // It may take over all the same, also of a master whose clients have never seen it follow.
      await replica.kill();
      await withBroker(cluster.url, async (broker) => {
        const { replicas } = await told(broker, mine);
        expect(replicas).toEqual({ haveUntilMs: undefined, aloneAfterMs: 10 * 6_000 + 60_000 + 10_000 });
        expect((await told(broker, other)).replicas).toBeUndefined();
      });
      for (const { admin } of cluster.masters) {
        const [slow, usual] = ["9000", "6000"].map((ms) => ["SET", "cluster-node-timeout", ms] as const);
        await admin.call("CONFIG", ...slow!, "repl-timeout", "90");
        await withBroker(cluster.url, async (broker) => {
          const { replicas } = await told(broker, mine);
          expect(replicas).toMatchObject({ aloneAfterMs: 10 * 9_000 + 90_000 + 10_000 });
        });
        await admin.call("CONFIG", ...usual!, "repl-timeout", "60");
      }
      await replica.start();
      await until("it follows", async () => (await replica.admin.info()).includes("master_link_status:up"), 15_000);
      await withBroker(cluster.url, async (broker) => {
        const before = [await told(broker, mine), await told(broker, other)];
        expect(before[0]!.id).not.toBe(before[1]!.id);
        expect(broker.trustAfterMs).toBe(20_000);

        await cluster.promote(replica);
        const after = await until(
          "the new owner is told",
          async () => {
            const one = await now(broker, mine);
            return one !== undefined && one.id !== before[0]!.id ? one : undefined;
          },
          30_000,
        );
        expect((await told(broker, other)).id).toBe(before[1]!.id);

        // And back, for the one that has it by now is killed.
        await until(
          "the old one follows",
          async () => (await cluster.masterOf(key).admin.info()).includes("master_link_status:up"),
          15_000,
        );
        await replica.kill();
        expect(await now(broker, mine)).toBeUndefined();
        const last = await until(
          "the third is told",
          async () => {
            const one = await now(broker, mine);
            return one !== undefined && one.id !== after.id ? one : undefined;
          },
          30_000,
        );
        expect(last.id).not.toBe(before[0]!.id);
        expect(new Set(eventsOf("incarnationChanged").flatMap(({ queues }) => queues))).toEqual(new Set([mine]));
      });
    }, 60_000);
  });
});
