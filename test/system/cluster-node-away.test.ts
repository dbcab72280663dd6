import { afterEach, beforeEach, expect, it } from "vitest";
import { silent } from "../../src/core/log.js";
import { keysOf, pendingKey, queuesKey } from "../../src/redis/keys.js";
import { type Broker, Client, connect, defineTask, Worker } from "../../src/index.js";
import { message, newTask, settled } from "../support/builders.js";
import { recipe } from "../support/recipes.js";
import { RedisCluster } from "../support/redis-cluster.js";
import { describeRedis, type RedisServer } from "../support/redis-server.js";
import { until } from "../support/until.js";

const ping = defineTask("ping");
/** A default call's timeout is 2 s: with it a turn that waits for the silent node would not make this. */
const atOnceMs = 1_500;

describeRedis("a Cluster of which one node is away", () => {
  let cluster: RedisCluster;
  let broker: Broker;
  let client: Client;
  let worker: Worker | undefined;
  let away: RedisServer;
  /** One queue on the node that will be away, and one on each of the others. */
  let there: string;
  let others: string[];
  /** Two more, there and elsewhere, in which nothing is. */
  let unused: string[];

  const queueOn = (node: RedisServer, name: string) => {
    for (let n = 0; ; n++) if (cluster.masterOf(keysOf(`${name}-${n}`).asynq) === node) return `${name}-${n}`;
  };

  beforeEach(async () => {
    cluster = await RedisCluster.start(3, { ...recipe("Cluster", "redis.conf"), appendfsync: "always" });
    broker = connect(cluster.url, { log: silent });
    client = new Client(broker, { timeout: "30s" });
    // The names of all queues, and the clock, are on the others.
    away = cluster.masters.find(
      (node) => ![queuesKey, "holdfast:schema"].some((key) => cluster.masterOf(key) === node),
    )!;
    const nodes = [away, ...cluster.masters.filter((node) => node !== away)];
    [there, ...others] = nodes.map((node) => queueOn(node, "queue")) as [string, ...string[]];
    unused = nodes.slice(0, 2).map((node) => queueOn(node, "unused"));
  });
  afterEach(async () => {
    away.thaw();
    await worker?.stop({ timeout: "0s" });
    await broker.close();
    await cluster.stop();
  });

  const leave = { "does not answer": () => away.freeze(), "is killed": () => away.kill() };
  const comeBack = { "does not answer": () => away.thaw(), "is killed": () => away.start() };

  for (const how of ["does not answer", "is killed"] as const) {
    it(`that ${how}: workers go on with the other queues at once, and settle with it when it is back`, async () => {
      const runs: string[] = [];
      let open = () => {};
      const gate = new Promise<void>((resolve) => (open = resolve));
      worker = new Worker(broker, {
        queues: Object.fromEntries([there, ...others].map((queue) => [queue, 1])),
        concurrency: 5,
        pollInterval: "50ms",
        leaseDuration: "60s",
        log: silent,
      });
      worker.handle(ping, async (_, { id, queue }) => {
        runs.push(id);
        if (queue === there) await gate;
      });
      await worker.start();
      // One that only takes turns, and is refused none: the other node answers.
      const alone = connect(`redis-cluster://${cluster.url.split(",").at(-1)!}`, { log: silent });
      const turn = () => {
        const lease = { workerId: "w", requestId: "1", queues: unused, limit: 1, leaseMs: 60_000, suspects: 0 };
        return alone.exchange({ settle: [], lease }, alone.clock.nowMs());
      };
      await turn();
      const inIt = await client.enqueueAll([1, 2].map(() => ping(undefined, { queue: there })));
      await until("they run", () => runs.length === 2);

      await leave[how]();
      open();
      const elsewhere: string[] = [];
      let slowestMs = 0;
      for (const endMs = performance.now() + 5_000; performance.now() < endMs;) {
        const receipts = await client.enqueueAll(others.map((queue) => ping(undefined, { queue })));
        elsewhere.push(...receipts.map(({ id }) => id));
        const startedMs = performance.now();
        await until("tasks of other nodes have run", () => receipts.every(({ id }) => runs.includes(id)), 20_000);
        slowestMs = Math.max(slowestMs, performance.now() - startedMs);
        await turn();
      }
      const before = worker.counters();
      await comeBack[how]();
      await until(
        "it is answered there",
        async () => (await alone.find([{ queue: unused[0]!, id: "none" }])).length === 1,
      );
      await alone.close();
      await until("all is settled", () => worker!.counters().completed === runs.length, 20_000);

      expect(slowestMs).toBeLessThan(atOnceMs);
      expect(before.completed).toBeLessThanOrEqual(elsewhere.length);
      expect(runs.toSorted()).toEqual([...inIt.map(({ id }) => id), ...elsewhere].toSorted());
      expect(worker.counters()).toMatchObject({ leaseLost: 0, retried: 0, archived: 0 });
      const outages = (await broker.readOutages!()).filter((one) => one.broker === alone.label);
      expect(outages).toMatchObject([{ endedAtMs: expect.any(Number) }]);
      // Of the 5 s until it comes back the first call that it does not answer takes 2, and begins later on a busy machine.
      expect(outages[0]!.endedAtMs! - outages[0]!.beganAtMs).toBeGreaterThan(1_500);
      const infos = await broker.queues(broker.clock.nowMs());
      expect(infos.flatMap((info) => Object.values(info.counts)).filter((count) => count > 0)).toEqual([]);
    });
  }

  it("answers for the nodes that are there, and gives back what the silent one leased too late", async () => {
    const [other] = others as [string, string];
    const task = (id: string, queue: string) => newTask(message({ id, queue }));
    const nowMs = () => broker.clock.nowMs();
    const request = (requestId: string, queues: string[]) => {
      return { workerId: "w", requestId, queues, limit: 10, leaseMs: 60_000, suspects: 0 };
    };
    await broker.enqueue([task("a", there), task("b", other)], nowMs());
    const { leased } = await broker.exchange({ settle: [], lease: request("1", [there, other]) }, nowMs());
    await broker.enqueue([task("c", there), task("d", other)], nowMs());

    away.freeze();
    const turn = { settle: leased.map((one) => settled.completed(one)), lease: request("2", [there, other]) };
    const reply = await broker.exchange(turn, nowMs());
    away.thaw();

    const owed = leased.filter((one) => one.lease.queue === there).map((one) => settled.completed(one));
    expect(leased.map(({ lease }) => lease.id)).toEqual(["a", "b"]);
    expect(reply.settled).toEqual(["unavailable", "settled"]);
    expect(reply.leased.map(({ lease }) => lease.id)).toEqual(["d"]);
    // What was sent in time has been carried out in the end.
    await until("it is heard", async () => {
      const again = await broker.exchange({ settle: owed }, nowMs());
      return again.settled[0] === "leaseLost";
    });
    const last = await until("its task is there to be leased", async () => {
      const {
        leased: [one],
      } = await broker.exchange({ settle: [], lease: request("3", [there]) }, nowMs());
      return one;
    });
    expect(last).toMatchObject({ lease: { id: "c", token: "3" }, crashes: 0, returns: 0 });
  });

  for (const how of ["does not answer", "is killed"] as const) {
    it(`whichever ${how}: who was there goes on with the other queues, and so does who starts then`, async () => {
      // The first has all that is there once: the names of all queues, the version, the clock.
      const turns = how === "is killed" ? cluster.masters : cluster.masters.slice(0, 1);
      expect([queuesKey, "holdfast:schema"].map((key) => cluster.masterOf(key))).toEqual([turns[0], turns[0]]);
      for (const [n, master] of turns.entries()) {
        away = master;
        const living = cluster.masters[(n + 1) % cluster.masters.length]!;
        const [lost, used, fresh] = [
          queueOn(away, `lost-${n}`),
          queueOn(living, `used-${n}`),
          queueOn(living, `new-${n}`),
        ];
        await client.enqueue(ping(undefined, { queue: used }));
        const mayEvict = how === "does not answer";
        if (mayEvict) await away.admin.config("SET", "maxmemory-policy", "allkeys-lru");
        await leave[how]();
        // What fails makes it unsure which queues are known, as a minute does.
        const refused = new Client(broker, { timeout: "200ms" }).enqueue(ping(undefined, { queue: lost }));
        await expect(refused).rejects.toMatchObject({ code: "BROKER_UNAVAILABLE" });

        const starting = connect(cluster.url, { log: silent });
        const starters = new Client(starting);
        const runs: string[] = [];
        worker = new Worker(starting, {
          queues: { [lost]: 1, [used]: 1, [fresh]: 1 },
          pollInterval: "50ms",
          log: silent,
        });
        worker.handle(ping, (_, { id }) => void runs.push(id));
        const took: number[] = [];
        const timed = async <T>(what: Promise<T>): Promise<T> => {
          const beganMs = performance.now();
          const answer = await what;
          took.push(performance.now() - beganMs);
          return answer;
        };
        const ids = [
          await timed(starters.enqueue(ping(undefined, { queue: used }))),
          await timed(starters.enqueue(ping(undefined, { queue: fresh }))),
          await timed(client.enqueue(ping(undefined, { queue: used }))),
          await timed(client.enqueue(ping(undefined, { queue: fresh }))),
        ].map(({ id }) => id);
        await timed(worker.start());
        await until("they have run", () => ids.every((id) => runs.includes(id)), 5_000);
        const troubled = client.health().storage.filter(({ shard, state }) => {
          return shard === living.place && state !== "closed";
        });

        expect(took.map((ms) => ms < atOnceMs)).toEqual(took.map(() => true));
        expect(troubled).toEqual([]);
        await comeBack[how]();
        if (mayEvict) {
          // Who started without it looks at it before anything is written there.
          const hasty = new Client(starting, { timeout: "500ms" });
          const unfit = async () => hasty.enqueue(ping(undefined, { queue: lost })).catch((error: unknown) => error);
          const refusal = { code: "BROKER_UNAVAILABLE", data: { outcome: "refused" } };
          const error = await until("it is refused", async () => {
            const last = await unfit();
            return String(last).includes("allkeys-lru") ? last : undefined;
          });
          expect(error).toMatchObject(refusal);
          expect(String(error)).toContain(`${away.place}: maxmemory-policy is allkeys-lru`);
          // That is the trouble of its own queues alone.
          const { id } = await starters.enqueue(ping(undefined, { queue: used }));
          await until("the others go on", () => runs.includes(id), 5_000);
          // However many calls wait for it, one look is for all of them.
          await away.admin.config("RESETSTAT");
          const calls = Array.from({ length: 100 }, (_, k) =>
            starting.enqueue([newTask(message({ id: `${n}-${k}`, queue: lost }))], starting.clock.nowMs()),
          );
          for (const end of await Promise.allSettled(calls)) expect(end).toMatchObject({ reason: refusal });
          const looks = Number(/cmdstat_info:calls=(\d+)/.exec(await away.admin.info("commandstats"))?.[1]);
          expect(looks).toBeLessThan(100);
          expect(await away.admin.exists(pendingKey(lost))).toBe(0);
          await away.admin.config("SET", "maxmemory-policy", "noeviction");
        }
        const names = () => cluster.admin(queuesKey).smembers(queuesKey);
        await until("its queues can be seen", async () => (await names()).includes(fresh), 10_000);
        await until(
          "its own go on",
          async () => (await starters.enqueue(ping(undefined, { queue: lost }))).status === "enqueued",
          10_000,
        );
        await worker.stop({ timeout: "0s" });
        await starting.close();
      }
    });
  }
});
