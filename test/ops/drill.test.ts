import { afterAll, beforeAll, expect, it } from "vitest";
import { silent } from "../../src/core/log.js";
import { type Broker, Client, connect, defineTask, Inspector, SkipRetry, Worker } from "../../src/index.js";
import { Monitor } from "../../src/ops/index.js";
import { describeRedis, RedisServer } from "../support/redis-server.js";
import { until } from "../support/until.js";
import { WebhookReceiver } from "./receivers.js";

const charge = defineTask("invoice:charge", { queue: "billing", maxRetry: 0 });
const mail = defineTask("mail:send", { queue: "mail", maxRetry: 0 });

/** The rules as they are, with minutes told as tenths of a second: what takes five of them takes half a second here. */
const rules = {
  DlqNotEmpty: { for: "1500ms", keepFiring: "300ms" },
  DlqSizeHigh: { for: "500ms", keepFiring: "300ms" },
  DlqGrowing: { for: "500ms", keepFiring: "300ms", window: "2s" },
  TypeFailureRatio: { for: "500ms", keepFiring: "300ms", window: "6s" },
  NewFailureGroup: { window: "3s", keepFiring: "300ms" },
  FinalFailureRatio: { for: "1500ms", keepFiring: "300ms", window: "1500ms" },
  QueueLatency: { warning: "500ms", critical: "30s", for: "500ms", keepFiring: "300ms" },
  NoWorkers: { for: "300ms", keepFiring: "100ms" },
  RedisEvicting: { window: "1s", keepFiring: "100ms" },
} as const;

describeRedis("an alert drill", () => {
  let redis: RedisServer;
  let broker: Broker;
  let receiver: WebhookReceiver;
  let monitor: Monitor;

  beforeAll(async () => {
    redis = await RedisServer.start();
    broker = connect(redis.url);
    receiver = await WebhookReceiver.start();
    monitor = new Monitor(broker, {
      pollEvery: "100ms",
      rules,
      types: { "invoice:charge": { criticality: "high" } },
      channels: [{ kind: "webhook", url: receiver.url, from: "info" }],
      log: silent,
    });
    monitor.start();
  });

  afterAll(async () => {
    await monitor?.stop();
    await receiver?.[Symbol.asyncDispose]();
    await broker?.close();
    await redis?.stop();
  });

  const fleet = async (handle: (n: number) => void) => {
    const worker = new Worker(broker, { queues: { billing: 1, mail: 1 }, concurrency: 50, log: silent });
    worker.handle(charge, async () => handle(1)).handle(mail, async () => undefined);
    await worker.start();
    return worker;
  };
  const enqueue = async (definition: typeof mail, count: number) =>
    new Client(broker).enqueueAll(Array.from({ length: count }, () => definition()));
  /** "NoWorkers mail", of what fires now by what was told. */
  const firing = () => {
    const open = new Set<string>();
    for (const { rule, labels, event } of receiver.notifications) {
      const name = [rule, ...Object.values(labels)].join(" ");
      if (event === "resolved") open.delete(name);
      else open.add(name);
    }
    return [...open].toSorted();
  };
  const told = (from: number) =>
    new Set(receiver.notifications.slice(from).map(({ rule, labels }) => [rule, ...Object.values(labels)].join(" ")));

  it("tells a poison deploy, and that it was rolled back", async () => {
    const good = await fleet(() => undefined);
    await enqueue(charge, 60);
    await until("they are done", async () => (await new Inspector(broker).queue("billing")).processed === 60);
    await good.stop();
    // What came before its first look at a queue, a monitor cannot tell from what was always there.
    const nowMs = broker.clock.nowMs();
    await until("the monitor has looked", () => (monitor.health().lookedAtMs ?? 0) > nowMs);

    const poisoned = await fleet(() => {
      throw new SkipRetry("the card has no number");
    });
    await enqueue(charge, 90);
    await enqueue(mail, 60);
    await until("it grows", () => firing().includes("DlqGrowing billing"), 15_000);
    // Workers tell how attempts ended every five seconds, and when they stop.
    await poisoned.stop();
    await until("the cause is new", () => [...told(0)].some((one) => one.startsWith("NewFailureGroup v1:")));
    await until("the type fails", () => firing().includes("TypeFailureRatio invoice:charge"), 15_000);
    expect(receiver.notifications.find(({ rule }) => rule === "TypeFailureRatio")!.severity).toBe("critical");

    const mended = await fleet(() => undefined);
    await new Inspector(broker).run({ queue: "billing", state: "archived" }, { reason: "rolled back" });
    await enqueue(charge, 500);
    // A worker that stops gives back what it has leased and not begun.
    await until("all is done", async () => {
      const { pending, active } = (await new Inspector(broker).queue("billing")).counts;
      return pending + active === 0;
    });
    await mended.stop();
    await until("all is well", () => firing().length === 0, 15_000);
    for (const wrong of ["NoWorkers", "QueueLatency", "DlqDataLost", "mail"])
      expect([...told(0)].filter((one) => one.includes(wrong))).toEqual([]);
  });

  it("tells a fleet that was stopped, once, and that it is back", async () => {
    const from = receiver.all.length;
    await enqueue(mail, 30);
    await until("nobody works", () => firing().includes("NoWorkers mail"), 15_000);
    await until("and it stays so, for longer than the wait may take", async () => {
      const { latencyMs } = await new Inspector(broker).queue("mail");
      return latencyMs > 1_500;
    });

    const worker = await fleet(() => undefined);
    await until("all is well", () => firing().length === 0, 15_000);
    await worker.stop();
    expect(told(from)).toEqual(new Set(["NoWorkers mail"]));
  });

  it("tells a flood of dead letters once, gets worse with it, and ends with it", async () => {
    const from = receiver.all.length;
    const inspector = new Inspector(broker);
    const worker = new Worker(broker, { queues: { flood: 1 }, log: silent });
    await worker.start();
    const later = defineTask("flood:one", { queue: "flood" });
    const flood = async (count: number) => {
      const tasks = Array.from({ length: count }, () => later(undefined, { processIn: "1h" }));
      await new Client(broker).enqueueAll(tasks);
      await inspector.archive({ queue: "flood", state: "scheduled" }, { reason: "a drill" });
    };
    await flood(200);
    await until("it is many", () => firing().includes("DlqSizeHigh flood"));
    await flood(900);
    await until("it is worse", () => receiver.notifications.some(({ event }) => event === "escalated"));

    await inspector.delete({ queue: "flood", state: "archived" }, { reason: "it was a drill" });
    await until("all is well", () => firing().length === 0, 15_000);
    await worker.stop();
    const size = receiver.notifications.slice(from).filter(({ rule }) => rule === "DlqSizeHigh");
    expect(size.map(({ event }) => event)).toEqual(["firing", "escalated", "resolved"]);
    // A look may find it half gone before it is over.
    expect(size.slice(0, 2).map(({ severity }) => severity)).toEqual(["warning", "critical"]);
    expect(
      [...told(from)].filter(
        (one) => !/^(Dlq(SizeHigh|Growing)|FinalFailureRatio) flood$|^NewFailureGroup v1:\w+ flood:one$/.test(one),
      ),
    ).toEqual([]);
  });

  it("tells that Redis deletes keys to make room, and that it does no more", async () => {
    const from = receiver.all.length;
    // What has an end is deleted alone: alerts are kept there, too.
    await redis.admin.config("SET", "maxmemory-policy", "volatile-lru");
    await redis.admin.set("big", "x".repeat(1_000_000), "EX", 600);
    await redis.admin.config("SET", "maxmemory", "1");
    await until("it is deleted", async () => (await redis.admin.exists("big")) === 0);
    await redis.admin.config("SET", "maxmemory", "0");

    await until("it is told", () => firing().includes(`RedisEvicting ${redis.place}`), 15_000);
    await until("all is well", () => firing().length === 0, 15_000);
    const [first] = receiver.notifications.slice(from);
    expect(first).toMatchObject({ rule: "RedisEvicting", severity: "critical", labels: { node: redis.place } });
    expect(told(from)).toEqual(new Set([`RedisEvicting ${redis.place}`]));
    expect(await monitor.metrics()).toMatch(
      new RegExp(`^holdfast_redis_evicted_keys_total\\{node="${redis.place}"\\} [1-9]`, "m"),
    );
  });
});
