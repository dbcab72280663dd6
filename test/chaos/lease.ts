import { expect, it } from "vitest";
import { type Broker, Client, defineTask, Worker } from "../../src/index.js";
import { until } from "../support/until.js";
import { eachOn, engines, type Storage } from "./engines.js";
import { Fleet } from "./fleet.js";

const task = defineTask<{ forMs: number }>("fleet", { maxRetry: 0 });

/** A blocked thread that leaves the machine to others. */
const block = (ms: number) => void Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);

/** A file for each engine: they wait for a minute at a time, and so they wait side by side. */
export function describeLeases(name: "a file" | "Redis"): void {
  const engine = engines.find((one) => one.name === name)!;
  engine.describe(`leases on ${engine.name}, at their real length`, () => {
    let folder: string;
    let storage: Storage;
    let broker: Broker;
    let fleet: Fleet | undefined;

    eachOn(
      engine,
      (site) => ({ folder, storage, broker } = site),
      () => fleet?.end(),
    );

    it("kill -9 of a worker: its tasks run again within 40 s, one at a time, no retry burnt", async () => {
      const client = new Client(broker);
      await client.enqueueAll(Array.from({ length: 8 }, () => task({ forMs: 0 })));
      fleet = new Fleet(storage.url, folder, { concurrency: 8, handlerMs: 60_000 });
      const first = await fleet.add();
      await until("all eight run", () => fleet!.runs().size === 8, 10_000);

      await fleet.kill(first);
      const killedAtMs = Date.now();
      const starts: number[] = [];
      let running = 0;
      let most = 0;
      const survivor = new Worker(broker, { concurrency: 8 }).handle(task, async (_payload, context) => {
        starts.push(Date.now() - killedAtMs);
        expect(context).toMatchObject({ attempt: 1, crashes: 1 });
        most = Math.max(most, (running += 1));
        await new Promise((resolve) => setTimeout(resolve, 50));
        running -= 1;
      });
      await survivor.start();
      try {
        // maxRetry is 0: had the crash burnt a retry, the tasks would be dead letters now.
        await until("all eight have run again", () => survivor.counters().completed === 8, 45_000);
      } finally {
        await survivor.stop();
      }

      expect(Math.max(...starts)).toBeLessThan(40_000);
      expect(most).toBe(1);
    }, 90_000);

    it("a handler that blocks the event loop for 60 s keeps its lease", async () => {
      const client = new Client(broker);
      const { id } = await client.enqueue(task({ forMs: 60_000 }));
      const blocker = new Worker(broker, { concurrency: 1 }).handle(task, ({ forMs }) => {
        block(forMs);
      });
      // Another process is waiting to take the task over, should its lease run out.
      fleet = new Fleet(storage.url, folder, { concurrency: 1, handlerMs: 0 });
      await blocker.start();
      try {
        const waiting = fleet.add();
        await until("the handler has returned", () => blocker.counters().completed === 1, 90_000);
        await waiting;
      } finally {
        await blocker.stop();
      }

      expect([...fleet.runs().keys()]).toEqual([]);
      expect(blocker.counters()).toMatchObject({ completed: 1, leaseLost: 0 });
      expect((await broker.find([{ queue: "default", id }]))[0]).toBeUndefined();
    }, 120_000);

    it("a handler that blocks past its timeout plus the abort grace loses its lease to another worker", async () => {
      const client = new Client(broker);
      const { id } = await client.enqueue(task({ forMs: 20_000 }, { timeout: "1s" }));
      const blocker = new Worker(broker, { concurrency: 1, leaseDuration: "5s", abortGrace: "1s" }).handle(
        task,
        ({ forMs }) => {
          block(forMs);
        },
      );
      fleet = new Fleet(storage.url, folder, { concurrency: 1, handlerMs: 0, leaseDuration: "5s" });
      await blocker.start();
      try {
        const waiting = fleet.add();
        await until("the handler has returned", () => blocker.counters().leaseLost === 1, 60_000);
        await waiting;
      } finally {
        await blocker.stop();
      }

      expect(fleet.runs().get(id)).toMatchObject([{ crashes: 1 }]);
      expect(blocker.counters()).toMatchObject({ completed: 0, archived: 0 });
    }, 120_000);
  });
}
