import fc from "fast-check";
import { beforeEach, describe, expect, it } from "vitest";
import type { Broker } from "../../src/broker/broker.js";
import { grouped, groupOf } from "../../src/broker/failure-groups.js";
import { encodeMessage } from "../../src/core/codec.js";
import { DeadLetters } from "../../src/deadletter/index.js";
import { failureGroups } from "../../src/redis/dead-letters/groups.js";
import type { ScriptCall } from "../../src/redis/link.js";
import { failure, message } from "../support/builders.js";
import { newLink } from "../support/link-probe.js";
import { onRedis } from "../support/on-redis.js";
import { describeRedis, type RedisServer } from "../support/redis-server.js";
import { seed } from "../support/seed.js";

/** Other programs archive, run, delete and trim without looking at groups: the groups follow. */
describeRedis("failure groups beside asynq", () => {
  let server: RedisServer;
  let broker: Broker;
  const nowS = Math.floor(Date.now() / 1_000);
  const nowMs = nowS * 1_000;
  onRedis((site) => ({ server, broker } = site));
  beforeEach(() => server.admin.sadd("asynq:queues", "q"));

  const bytes = (id: string, lastError: string, diedAtS: number) =>
    encodeMessage(
      message({
        id,
        queue: "q",
        lastError,
        lastFailedAtMs: diedAtS * 1_000,
        retried: 3,
        maxRetry: 3,
        payload: Buffer.alloc(1_000),
      }),
    );
  /** As asynq's archive script leaves it. */
  const archive = async (ids: readonly string[], lastError = "boom", score = nowS) => {
    const all = server.admin.pipeline();
    for (const id of ids) {
      all.hset(`asynq:{q}:t:${id}`, { msg: bytes(id, lastError, score), state: "archived" });
      all.zadd("asynq:{q}:archived", score, id);
    }
    await all.exec();
  };
  /** As its inspector deletes. */
  const remove = (...ids: readonly string[]) =>
    server.admin
      .multi()
      .zrem("asynq:{q}:archived", ...ids)
      .del(...ids.map((id) => `asynq:{q}:t:${id}`))
      .exec();
  const fingerprintOf = (lastError: string) =>
    grouped({ id: "", diedAtS: nowS, bytes: bytes("x", lastError, nowS), failure: undefined }).fingerprint;

  const letters = () => broker.deadLetters!;
  let clockMs = nowMs;
  /** So many steps, each a second after the one before, as workers make them. */
  const steps = async (count: number, limit = 500) => {
    for (let n = 0; n < count; n += 1) await letters().indexDeadLetters(["q"], limit, (clockMs += 1_000));
  };
  const counts = async (): Promise<Record<string, number>> => {
    const [found] = await letters().failureGroups(["q"], clockMs);
    const some = found!.groups.filter(({ count }) => count > 0);
    return {
      unindexed: found!.unindexed,
      ...Object.fromEntries(some.map((group) => [group.fingerprint, group.count])),
    };
  };

  it("what asynq archives comes to them, by the error in its message", async () => {
    await archive(["a", "b"], "no row 17");
    await archive(["c"], "no disk");

    await steps(1);

    expect(await counts()).toEqual({ unindexed: 0, [fingerprintOf("no row 5")]: 2, [fingerprintOf("no disk")]: 1 });
    const [found] = await letters().failureGroups(["q"], clockMs);
    expect(found!.groups[0]).toMatchObject({ types: ["test:plain"], reasons: ["retries_exhausted"] });
  });

  it("an error of any length tells the same cause there as to whoever looks at its dead letter", async () => {
    const sizes = [4_000, 8_192, 8_193, 16_383, 16_384, 16_385, 40_000, 300_000];
    const errors = sizes.flatMap((size) => {
      const words = "no such öt: ".repeat(size / 13);
      return [words, `${words} skip retry for the task`, "x".repeat(size), "語".repeat(size / 3)];
    });
    for (const [n, error] of errors.entries()) await archive([`id-${n}`], error);

    await steps(10);

    const found = await broker.find(errors.map((_, n) => ({ queue: "q", id: `id-${n}` })));
    for (const [n, task] of found.entries())
      expect(await server.admin.hget(`asynq:{q}:t:id-${n}`, "hf_fp"), `error ${n}`).toBe(groupOf(task!));
  });

  it("of what is damaged, in whatever place, a search, a look and its group say the same", async () => {
    const whole = message({
      id: "x",
      queue: "q",
      lastError: "boom",
      lastFailedAtMs: nowMs,
      payload: Buffer.from("payload"),
      headers: { traceparent: "00-1", large: "x".repeat(20_000) },
    });
    const good = encodeMessage(whole);
    const badHeader = Buffer.from(good);
    badHeader[badHeader.length - 1] = 0xff;
    // A field that nobody knows, too large to be told, and one whose number is out of range.
    const strange = [0x82, 0x01].map((tag) => Buffer.from([tag, 0x01, 0xa0, 0x9c, 0x01, ...Buffer.alloc(20_000)]));
    const damaged: Buffer[] = [badHeader, ...strange, Buffer.concat([good, Buffer.from("020461626364", "hex")])];
    for (const cut of [1, 2, 15, 16, 17, 19, 30, good.length - 19_000]) damaged.push(good.subarray(0, cut));
    const random = fc.sample(fc.tuple(fc.nat(60), fc.nat(255)), { seed, numRuns: 100 });
    for (const [place, byte] of random) {
      const changed = Buffer.from(good);
      changed[place] = byte;
      damaged.push(changed);
    }
    const ids = damaged.map((_, n) => `id-${n}`);
    await archive(ids);
    for (const [n, id] of ids.entries()) await server.admin.hset(`asynq:{q}:t:${id}`, "msg", damaged[n]!);

    await steps(3);

    const found = await broker.find(ids.map((id) => ({ queue: "q", id })));
    expect(found[0]).toMatchObject({ message: undefined, failure: { reason: "decode_error", inferred: true } });
    const all = new Map<string, string[]>();
    for (const [n, task] of found.entries()) {
      const fingerprint = groupOf(task!);
      expect(await server.admin.hget(`asynq:{q}:t:${ids[n]}`, "hf_fp"), `damage ${n}`).toBe(fingerprint);
      all.set(fingerprint, [...(all.get(fingerprint) ?? []), ids[n]!]);
    }
    expect(all.size).toBeGreaterThan(2);
    for (const [fingerprint, members] of all) {
      const { items } = await new DeadLetters(broker).search(`queue:q fp:${fingerprint}`, { limit: 200 });
      expect(new Set(items.map(({ id }) => id))).toEqual(new Set(members));
    }
  });

  it("a search for a cause finds what asynq archived again, or under an id that it deleted, for another one", async () => {
    const found = async (...errors: readonly string[]) => {
      const query = `queue:q fp:${errors.map(fingerprintOf).join(",")}`;
      const { items, hits } = await new DeadLetters(broker).search(query);
      expect(hits).toBe(items.length);
      return items.map(({ id }) => id);
    };
    await archive(["again", "anew", "b"]);
    await steps(2);
    await server.admin.zrem("asynq:{q}:archived", "again");
    await remove("anew");
    await archive(["again", "anew"], "other", nowS - 60);

    expect(await found("other")).toEqual(["again", "anew"]);
    expect(await found("boom")).toEqual(["b"]);

    clockMs += 600_000;
    await steps(4);
    expect(await counts()).toEqual({ unindexed: 0, [fingerprintOf("boom")]: 1, [fingerprintOf("other")]: 2 });
    expect(await found("boom", "other")).toEqual(["again", "anew", "b"]);

    // As many as there are members.
    await archive(["c"], "third", nowS - 60);
    expect(await found("third")).toEqual(["c"]);
  });

  it("what asynq deletes leaves them, in bounded steps", async () => {
    await archive(Array.from({ length: 1_200 }, (_, n) => `id-${n}`));
    await steps(5);
    expect(await counts()).toEqual({ unindexed: 0, [fingerprintOf("boom")]: 1_200 });

    await remove("id-3", "id-1199");
    await steps(1);
    expect((await counts())[fingerprintOf("boom")]).toBeGreaterThan(1_197);
    await steps(6);

    expect(await counts()).toEqual({ unindexed: 0, [fingerprintOf("boom")]: 1_198 });
    // A page never shows what is gone, whatever the group believes.
    await remove("id-0");
    const { items } = await letters().groupMembers("q", fingerprintOf("boom"), { limit: 2 });
    expect(items.map(({ id }) => id)).toEqual(["id-1"]);
  });

  it("what asynq archives while it deletes more is found behind them, and one with a long error by its beginning", async () => {
    await archive(["a", "b", "c"]);
    await steps(3);
    const long = `no disk: ${"größer ".repeat(5_000)}`;
    await remove("a", "b");
    await archive(["d"], long);

    await steps(5);

    expect(await counts()).toEqual({ unindexed: 0, [fingerprintOf("boom")]: 1, [fingerprintOf(long)]: 1 });
    const [found] = await letters().failureGroups(["q"], clockMs);
    expect(found!.groups.find(({ fingerprint }) => fingerprint === fingerprintOf(long))?.reasons).toEqual([
      "retries_exhausted",
    ]);
  });

  it("what asynq runs, and is archived by it again for something else, changes its group", async () => {
    const ids = Array.from({ length: 150 }, (_, n) => `id-${n}`);
    await archive(["a", ...ids]);
    await steps(3);
    await server.admin.zrem("asynq:{q}:archived", "a");
    clockMs += 60_000;
    await archive(["a"], "other", nowS + 60);
    await steps(1);

    expect(await counts()).toEqual({ unindexed: 0, [fingerprintOf("boom")]: 150, [fingerprintOf("other")]: 1 });
    expect(await server.admin.hget("asynq:{q}:t:a", "hf_fp")).toBe(fingerprintOf("other"));

    // More at once than are looked at among the newest.
    await server.admin.zrem("asynq:{q}:archived", ...ids);
    await archive(ids, "other", nowS + 61);
    await steps(5);
    expect(await counts()).toEqual({ unindexed: 0, [fingerprintOf("other")]: 151 });
  });

  /** As it runs them, and archives them for something else. */
  const again = async (ids: readonly string[], atS: number) => {
    await server.admin.zrem("asynq:{q}:archived", ...ids);
    await archive(ids, "other", atS);
  };
  const named = (name: string, count: number) =>
    Array.from({ length: count }, (_, n) => `${name}-${String(n).padStart(4, "0")}`);
  const isFull = async () => (await server.admin.hget("holdfast:{q}:index", "full")) === "1";

  it("what it archives again is found beside the newest of the same second, and behind one of a clock ahead", async () => {
    await archive(["a", "b", "c"], "boom", nowS - 20);
    await archive(["z"], "boom", nowS);
    await archive(["ahead"], "boom", nowS + 3_600);
    await steps(5);

    await again(["a"], nowS);
    await steps(1);
    expect((await counts())[fingerprintOf("other")]).toBe(1);
    await again(["b"], nowS + 2);
    await steps(1);

    expect(await counts()).toEqual({ unindexed: 0, [fingerprintOf("boom")]: 3, [fingerprintOf("other")]: 2 });
  });

  it("what it archives again is found below hundreds of our own, and while all is looked through, at once", async () => {
    await archive(named("a", 2_000), "boom", nowS - 100);
    await steps(10);
    clockMs += 600_000;
    const thenS = nowS + 600;
    await steps(1, 50);
    expect(await isFull()).toBe(true);

    await again(named("a", 120), thenS);
    await steps(6, 50);
    expect(await isFull()).toBe(true);
    expect(await counts()).toEqual({ unindexed: 0, [fingerprintOf("boom")]: 1_880, [fingerprintOf("other")]: 120 });

    await steps(12);
    expect(await isFull()).toBe(false);
    const own = named("own", 600);
    await archive(own, "boom", thenS + 31);
    await server.admin.lpush("holdfast:{q}:unindexed", ...own);
    await again(["a-1999"], thenS + 30);
    await steps(5);
    expect((await counts())[fingerprintOf("other")]).toBe(121);
    expect(await isFull()).toBe(false);
  });

  it("two that take a burst of our own at once walk through nothing else", async () => {
    await archive(named("a", 3_000), "boom", nowS - 100);
    await steps(10);
    const own = named("own", 550);
    await archive(own, "other", nowS);
    await server.admin.lpush("holdfast:{q}:unindexed", ...own);
    clockMs += 1_000;
    const step = async () => letters().indexDeadLetters(["q"], 500, clockMs);
    await Promise.all([step(), step()]);
    let looked = 0;
    for (let n = 0; n < 5; n += 1) looked += await letters().indexDeadLetters(["q"], 500, (clockMs += 1_000));

    expect(looked).toBeLessThan(500);
    expect(await isFull()).toBe(false);
    expect(await counts()).toEqual({ unindexed: 0, [fingerprintOf("boom")]: 3_000, [fingerprintOf("other")]: 550 });
  });

  it("what can come to no group is looked for twice, and then no more until all is looked through", async () => {
    await archive(["b", "both"]);
    await steps(5);
    await server.admin.zadd("holdfast:{q}:archived", nowS - 100, "both");
    await server.admin.set(`holdfast:{q}:fp:${fingerprintOf("no disk")}`, "x");
    await archive(["a"], "no disk");
    await steps(1);
    await archive(["behind"], "boom", nowS - 60);
    await steps(20);

    expect((await counts())[fingerprintOf("boom")]).toBe(3);
    expect(await letters().indexDeadLetters(["q"], 500, (clockMs += 1_000))).toBe(0);
  });

  it("one deleted and one archived in the same moment are both seen", async () => {
    await archive(["a", "b"]);
    await steps(2);
    await remove("a");
    await archive(["c"], "other");
    await steps(2);

    expect(await counts()).toEqual({ unindexed: 0, [fingerprintOf("boom")]: 1, [fingerprintOf("other")]: 1 });
  });

  it("one whose id is used again is moved at once, also beside one that our own workers archived", async () => {
    await archive(["a", "b"]);
    await steps(2);
    await remove("a");
    await archive(["a", "mine"], "other", nowS + 1);
    await server.admin.lpush("holdfast:{q}:unindexed", "mine");
    await steps(3);

    expect(await counts()).toEqual({ unindexed: 0, [fingerprintOf("boom")]: 1, [fingerprintOf("other")]: 2 });
  });

  it("one that comes behind a walk, and is not among the newest, is found by the next", async () => {
    await archive(["a"]);
    await steps(3);
    await archive(["b"], "boom", nowS - 100);
    await steps(1);
    await archive(["c"], "boom", nowS - 60);
    await steps(5);

    expect(await counts()).toEqual({ unindexed: 0, [fingerprintOf("boom")]: 3 });
  });

  it("of many groups those that lost all are found in few steps", async () => {
    const errors = Array.from({ length: 40 }, (_, n) => `no ${"abcdefgh"[n % 8]}${"stuvw"[Math.floor(n / 8)]}`);
    for (const error of errors) await archive([error.slice(3)], error);
    await steps(3);
    expect(Object.keys(await counts())).toHaveLength(41);

    await remove(...errors.slice(1).map((error) => error.slice(3)));
    await steps(2);

    expect(await counts()).toEqual({ unindexed: 0, [fingerprintOf(errors[0]!)]: 1 });
  });

  it("large ones end a step early, which says that there are more; none is missed", async () => {
    const large = message({
      queue: "q",
      lastError: "boom",
      lastFailedAtMs: nowMs,
      retried: 25,
      payload: Buffer.alloc(1_000_000),
    });
    const ids = Array.from({ length: 20 }, (_, n) => `id-${n}`);
    await archive(ids);
    for (const id of ids) await server.admin.hset(`asynq:{q}:t:${id}`, "msg", encodeMessage({ ...large, id }));
    const waitingIn = async () => (await letters().failureGroups(["q"], clockMs))[0]!.unindexed;

    for (const wait of [true, false]) {
      await server.admin.del("holdfast:{q}:index", "holdfast:{q}:fps", `holdfast:{q}:fp:${fingerprintOf("boom")}`);
      if (wait) await server.admin.lpush("holdfast:{q}:unindexed", ...ids);
      expect(await letters().indexDeadLetters(["q"], 500, (clockMs += 1_000))).toBe(500);
      expect(await waitingIn()).toBe(11);
      expect(await letters().indexDeadLetters(["q"], 500, (clockMs += 1_000))).toBe(500);
      expect(await waitingIn()).toBe(2);
      expect(await letters().indexDeadLetters(["q"], 500, (clockMs += 1_000))).toBeLessThan(20);
      expect(await waitingIn()).toBe(0);
    }

    // Each call of the script that deletes them records what it did.
    const tasks = (await broker.find(ids.map((id) => ({ queue: "q", id })))).filter((task) => task !== undefined);
    const seen = tasks.map(({ id, archivedAtMs = 0, bytes: stored }) => ({ id, archivedAtMs, message: stored }));
    const by = { actor: "a", reason: "", requestId: "r" };
    const receipts = await letters().evict("q", seen, "size", by, clockMs);
    expect(receipts).toEqual(ids.map(() => "evicted"));
    expect(await server.admin.xlen("holdfast:{q}:audit")).toBe(3);
  });

  it("where nothing is new nothing is written, and nothing is looked at", async () => {
    await archive(["a", "b"]);
    await steps(4);
    const changes = async () => /rdb_changes_since_last_save:(\d+)/.exec(await server.admin.info("persistence"))![1];
    const before = await changes();

    expect(await letters().indexDeadLetters(["q"], 500, (clockMs += 1_000))).toBe(0);

    expect(await changes()).toBe(before);
  });

  it("a queue has at most 2,000, and one for the rest", async () => {
    const known = JSON.stringify({ first: nowS, last: nowS, types: [], reasons: [] });
    await server.admin.hset(
      "holdfast:{q}:fps",
      Object.fromEntries(Array.from({ length: 1_999 }, (_, n) => [`v1:${n}`, known])),
    );
    await archive(["a", "b"], "one");
    await archive(["c", "d"], "other");
    await archive(["e"], "yet another");

    await steps(1);

    const { unindexed, ...all } = await counts();
    expect([unindexed, Object.values(all).reduce((sum, count) => sum + count, 0)]).toEqual([0, 5]);
    expect(Object.keys(all)).toHaveLength(2);
    expect(Object.keys(all)).toContain("v1:0000000000000000");
  });

  it("those of many queues are asked for in trips that are answered in time", async () => {
    const link = newLink(server.url);
    const trips: number[] = [];
    const counting = new Proxy(link, {
      get: (of, name) => {
        if (name !== "run") return Reflect.get(of, name) as unknown;
        return async (calls: readonly ScriptCall[]) => {
          trips.push(calls.length);
          return of.run(calls);
        };
      },
    });
    await archive(["a"]);
    await steps(1);
    const queues = ["q", ...Array.from({ length: 20 }, (_, n) => `other-${n}`)];

    const found = await failureGroups(counting, queues, clockMs);

    expect(found.map(({ queue }) => queue)).toEqual(queues);
    expect(found.flatMap(({ groups }) => groups)).toHaveLength(1);
    expect(trips).toEqual([8, 8, 5]);
    await link.close();
  });

  describe("a key of another kind", () => {
    for (const key of ["fps", "index", "unindexed", `fp:${fingerprintOf("boom")}`]) {
      it(`${key}: is named, and stands in the way of groups alone`, async () => {
        const isList = key === "unindexed" || key.startsWith("fp:");
        if (isList) await server.admin.set(`holdfast:{q}:${key}`, "x");
        else await server.admin.sadd(`holdfast:{q}:${key}`, "x");
        await archive(["a"]);
        await server.admin.hset("asynq:{q}:t:a", "hf_failure", JSON.stringify(failure({ reason: "manual" })));

        const step = letters().indexDeadLetters(["q"], 500, clockMs);
        // What stands where one group's members would be is no error of its own: it was looked at.
        if (key.startsWith("fp:")) await step;
        else await expect(step).rejects.toThrow(`holdfast:{q}:${key} is a`);

        const by = { actor: "a", reason: "", requestId: "r" };
        const run = await broker.move({ queue: "q", ids: ["a"] }, "pending", by, { limit: 1 }, clockMs);
        expect(run).toEqual({ receipts: ["moved"] });
        const back = await broker.move({ queue: "q", ids: ["a"] }, "archived", by, { limit: 1 }, clockMs);
        expect(back).toEqual({ receipts: ["moved"] });
      });
    }
  });
});
