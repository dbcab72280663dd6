import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Signal, Subscription } from "../../src/broker/roles.js";
import type { RedisBrokerOptions } from "../../src/redis/index.js";
import { resolve } from "../../src/core/settings.js";
import { linkOptions, linkSettings } from "../../src/redis/link-options.js";
import { openLink } from "../../src/redis/open-link.js";
import { RedisBroker } from "../../src/redis/redis-broker.js";
import { newTask } from "../support/builders.js";
import { describeRedis, RedisServer } from "../support/redis-server.js";
import { until } from "../support/until.js";

/** As a Go client does: with a script that nobody here knows. */
const push = (server: RedisServer, queue: string, id = "x") =>
  server.admin.eval("return redis.call('LPUSH', KEYS[1], ARGV[1])", 1, `asynq:{${queue}}:pending`, id);

describeRedis("waking by key tracking", () => {
  let server: RedisServer;
  const open: AsyncDisposable[] = [];
  const warnings: unknown[] = [];

  beforeEach(async () => {
    warnings.length = 0;
    server = await RedisServer.start({
      config: {
        user: [
          "poller on >secret ~* &* +@all -client|tracking",
          "deaf on >secret ~* resetchannels +@all",
          "half on >secret ~* resetchannels &asynq:cancel +@all",
        ],
      },
    });
  });
  afterEach(async () => {
    for (const one of open.splice(0).toReversed()) await one[Symbol.asyncDispose]();
    await server.stop();
  });

  function newBroker(options: RedisBrokerOptions = {}): RedisBroker {
    const link = linkOptions(resolve(linkSettings, { url: options.url ?? server.url }, "test"), "test");
    const log = {
      warn: (...told: unknown[]) => void warnings.push(told),
      error: () => {},
      info: () => {},
      debug: () => {},
    };
    const broker = new RedisBroker(openLink(link), link, { allowEviction: false, log });
    open.push(broker);
    return broker;
  }
  async function subscribed(queues: readonly string[], broker = newBroker()) {
    const heard: Signal[] = [];
    const subscription = await broker.subscribe(queues, (signal) => heard.push(signal));
    await until("it listens", () => subscription.listening);
    return {
      heard,
      subscription,
      wakes: () => heard.map((signal) => (signal.kind === "wake" ? signal.queue : signal)),
    };
  }
  const toldNext = async (heard: Signal[], subscription: Subscription, queue: string) => {
    heard.length = 0;
    subscription.watch(true);
    await push(server, queue);
    await until("it is told", () => heard.length > 0);
    return heard[0]!.kind;
  };

  it("tells which of 1,000 queues got a task, and tells the queues apart whose names begin alike", async () => {
    const queues = ["a", "ab", "a:b", ...Array.from({ length: 997 }, (_, n) => `queue-${n}`)];
    const { wakes } = await subscribed(queues);

    for (const queue of ["ab", "queue-996", "a"]) await push(server, queue);

    await until("all are told", () => wakes().length === 3);
    expect(wakes()).toEqual(["ab", "queue-996", "a"]);
  });

  it("is told once until it asks again, however many come", async () => {
    const { heard, wakes, subscription } = await subscribed(["q", "other", "third"]);
    for (let n = 0; n < 20; n++) await push(server, "q", `${n}`);
    await push(server, "other");
    await until("the last one is told", () => wakes().includes("other"));
    expect(wakes()).toEqual(["q", "other"]);

    await server.admin.del("asynq:{q}:pending", "asynq:{other}:pending");
    heard.length = 0;
    subscription.watch(true);
    await push(server, "other");
    await until("the next one is told", () => wakes().includes("other"));
  });

  it("does not wake for a paused queue, and wakes when that goes on", async () => {
    const { wakes, subscription } = await subscribed(["q", "other"]);
    await server.admin.set("asynq:{q}:paused", "1700000000");
    await push(server, "other");
    await until("it knows", () => wakes().includes("other"));
    subscription.watch(true);
    for (let n = 0; n < 5; n++) {
      await push(server, "q", `${n}`);
      subscription.watch(true);
    }
    await push(server, "other");
    await until("the other is told again", () => wakes().filter((queue) => queue === "other").length > 1);
    expect(wakes().filter((queue) => queue === "q").length).toBeLessThanOrEqual(1);

    subscription.watch(true);
    const before = wakes().length;
    await server.admin.del("asynq:{q}:paused");
    await until("it is told", () => wakes().slice(before).includes("q"));
  });

  it.each(["reader", "listener"] as const)("is told of any queue when the %s connection was lost", async (which) => {
    const { heard, wakes, subscription } = await subscribed(["q"]);
    const clients = String(await server.admin.client("LIST")).split("\n");
    const victim = clients.find((line) => (which === "reader" ? /flags=\S*t/ : / sub=2 /).test(line))!;

    await server.admin.client("KILL", "ID", / ?id=(\d+)/.exec(victim)![1]!);

    await until("it is told of any queue", () => wakes().includes(undefined));
    await until("it listens again", () => subscription.listening);
    expect(await toldNext(heard, subscription, "q")).toBe("wake");
  });

  it("hears again after the server was away", async () => {
    const { heard, subscription, wakes } = await subscribed(["q"]);

    await server.kill();
    await until("it knows", () => !subscription.listening);
    await server.start();

    await until("it is told of any queue", () => wakes().includes(undefined));
    expect(await toldNext(heard, subscription, "q")).toBe("wake");
  });

  it("notices a server that is frozen, by asking", async () => {
    const { subscription } = await subscribed(["q"], newBroker({ url: `${server.url}?timeout=200ms` }));
    server.freeze();
    await until("it knows", () => !subscription.listening, 8_000);
    server.thaw();
    await until("it listens again", () => subscription.listening);
    expect(warnings).toEqual([]);
  });

  describe("with a user of few rights", () => {
    const as = (user: string) => newBroker({ url: server.url.replace("://", `://${user}:secret@`) });

    it.each(["poller", "deaf"])("does without, and says so once (%s)", async (user) => {
      const broker = as(user);
      const subscriptions = [await broker.subscribe(["q"], () => {}), await broker.subscribe(["r"], () => {})];
      await until("it says so", () => warnings.length > 0);
      await until(
        "both have tried",
        async () => String(await server.admin.client("LIST")).split("name=holdfast").length === 6,
      );

      expect(subscriptions.map(({ listening }) => listening)).toEqual([false, false]);
      expect(new Set(warnings.map(String)).size).toBe(warnings.length);
    });

    it("wakes one that may not listen to all channels", async () => {
      const { heard, subscription } = await subscribed(["q"], as("half"));
      expect(await toldNext(heard, subscription, "q")).toBe("wake");
    });

    it("hears of cancellations also where it may not watch", async () => {
      const heard: Signal[] = [];
      await as("poller").subscribe(["q"], (signal) => heard.push(signal));
      await until("it is told", async () => {
        await server.admin.publish("asynq:cancel", "a-task");
        return heard.length > 0;
      });
      expect(heard[0]).toEqual({ kind: "cancel", id: "a-task" });
    });
  });

  it("costs two commands to watch again, and none while the listener is busy", async () => {
    const { heard, subscription } = await subscribed(["q", "r"]);
    await until("all are watched", async () => /cmdstat_exists/.test(await server.admin.info("commandstats")));
    await server.admin.config("RESETSTAT");
    subscription.watch(false);
    for (let n = 0; n < 50; n++) await push(server, "q", `${n}`);
    expect(heard).toEqual([]);
    const busy = await server.admin.info("commandstats");
    expect(busy).not.toMatch(/cmdstat_(exists|mget|client\|caching)/);

    subscription.watch(true);

    await until("it is told", () => heard.length === 1);
    const stats = await server.admin.info("commandstats");
    expect(stats).toContain("cmdstat_exists:calls=1,");
    expect(stats).toContain("cmdstat_client|caching:calls=1,");
  });

  it("leaves no connection behind", async () => {
    const broker = newBroker();
    const { subscription } = await subscribed(["q"], broker);
    await broker.enqueue([newTask({ id: "a", queue: "q" })], broker.clock.nowMs());
    await subscription[Symbol.asyncDispose]();
    await broker.close();
    await until("only the test's own is left", async () => {
      return !String(await server.admin.client("LIST")).includes("name=holdfast");
    });
    expect(subscription.listening).toBe(false);
  });
});
