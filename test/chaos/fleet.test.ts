import { expect, it } from "vitest";
import { maxCrashes } from "../../src/broker/broker.js";
import { loop } from "../../src/core/loop.js";
import { type Broker, Client, defineTask } from "../../src/index.js";
import { until } from "../support/until.js";
import { eachOn, engines, type Storage } from "./engines.js";
import { Fleet, unexplained } from "./fleet.js";

const tasks = 100_000;
const task = defineTask("fleet");

for (const engine of engines)
  engine.describe(`100,000 tasks over four worker processes on ${engine.name}`, () => {
    let folder: string;
    let storage: Storage;
    let broker: Broker;
    let fleet: Fleet;

    eachOn(
      engine,
      (site) => ({ folder, storage, broker } = site),
      () => fleet?.end(),
    );

    const fill = async () => {
      const client = new Client(broker, { timeout: "30s" });
      const ids = new Set<string>();
      for (let at = 0; at < tasks; at += 1_000) {
        const receipts = await client.enqueueAll(Array.from({ length: 1_000 }, () => task()));
        for (const { id } of receipts) ids.add(id);
      }
      return ids;
    };
    const queue = async () => (await broker.queues(broker.clock.nowMs())).find(({ name }) => name === "default")!;
    const worked = async () => {
      const { pending, active, scheduled, retry } = (await queue()).counts;
      return pending + active + scheduled + retry === 0;
    };

    it("each runs once when nothing fails, none is left, the counters add up", async () => {
      const ids = await fill();
      fleet = new Fleet(storage.url, folder, { concurrency: 50, handlerMs: 0 });

      await Promise.all([1, 2, 3, 4].map(() => fleet.add()));
      const allReadyAtMs = Date.now();
      await until("no task waits or runs", worked, 180_000);
      const counters = await fleet.stop();

      const runs = fleet.runs();
      expect(runs.size).toBe(ids.size);
      expect([...runs].filter(([id, list]) => list.length !== 1 || !ids.has(id))).toEqual([]);
      expect(counters.reduce((sum, { completed }) => sum + completed, 0)).toBe(tasks);
      // Nobody starves: an equal share of what was left when all were there would be a quarter.
      const shares = [0, 0, 0, 0];
      for (const { process, startedAtMs } of [...runs.values()].flat())
        if (startedAtMs >= allReadyAtMs) shares[process]! += 1;
      const sharedOut = shares.reduce((sum, share) => sum + share, 0);
      expect(Math.min(...shares) / sharedOut, `shares ${shares.join(", ")}`).toBeGreaterThanOrEqual(0.1);
      expect(await queue()).toMatchObject({ processed: tasks, failed: 0, counts: { archived: 0 } });
    }, 300_000);

    it("an idle process has a task within 50 ms of the moment when another one enqueues it", async () => {
      // None looks by itself while this lasts.
      fleet = new Fleet(storage.url, folder, { concurrency: 10, handlerMs: 0, pollInterval: "1h" });
      await Promise.all([1, 2, 3, 4].map(() => fleet.add()));
      const client = new Client(broker);

      const round = async () => {
        const delaysMs: number[] = [];
        for (let n = 0; n < 100; n += 1) {
          const calledAtMs = Date.now();
          const { id } = await client.enqueue(task());
          const [run] = await until("it runs", () => fleet.runs().get(id));
          delaysMs.push(run!.startedAtMs - calledAtMs);
        }
        delaysMs.sort((x, y) => x - y);
        // oxlint-disable-next-line no-console -- a figure for whoever reads the report
        console.info(
          `${engine.name}: runs after ${delaysMs[50]} ms (p50), ${delaysMs[95]} ms (p95), from its enqueue on`,
        );
        return delaysMs[95]!;
      };

      // What else keeps the machine busy may spoil a round or two.
      for (let left = 5; (await round()) > 50; left -= 1) expect(left, "rounds left").toBeGreaterThan(1);
      await fleet.stop();
    });

    it("none is lost when a worker is killed every 2 s, and a kill explains every second run", async () => {
      const ids = await fill();
      fleet = new Fleet(storage.url, folder, { concurrency: 50, handlerMs: 5, leaseDuration: "5s" });

      await Promise.all([1, 2, 3, 4].map(() => fleet.add()));
      const over = new AbortController();
      const killing = loop(
        async () => {
          await fleet.kill(fleet.working[0]!);
          await fleet.add();
        },
        { everyMs: 2_000, signal: over.signal, onError: (error) => over.abort(error) },
      );
      try {
        await until("no task waits or runs", worked, 240_000);
      } finally {
        over.abort();
        await killing;
      }
      await fleet.stop();

      const runs = fleet.runs();
      const second = [...runs.values()].filter((list) => list.length > 1);
      // oxlint-disable-next-line no-console -- a figure for whoever reads the report
      console.info(`${engine.name}: ${fleet.killed.size} kills, ${second.length} tasks ran a second time`);
      expect(fleet.killed.size).toBeGreaterThan(2);
      expect([...ids].filter((id) => !runs.has(id))).toEqual([]);
      expect(unexplained(runs, fleet.killed)).toEqual([]);
      expect([...runs.values()].flat().filter(({ attempt }) => attempt !== 1)).toEqual([]);
      // A task that was running in three processes when they were killed is quarantined, for nobody can know better.
      const crashed = [...runs.values()].filter(
        (list) => list.filter((run) => fleet.killed.has(run.process)).length >= maxCrashes,
      );
      const { counts, processed } = await queue();
      expect(counts.archived).toBeLessThanOrEqual(crashed.length);
      expect(processed).toBe(tasks);
    }, 300_000);
  });
