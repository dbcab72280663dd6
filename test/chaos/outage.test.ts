import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, it } from "vitest";
import { silent } from "../../src/core/log.js";
import { Client, connect, defineTask, Worker } from "../../src/index.js";
import { describeRedis, RedisServer } from "../support/redis-server.js";
import { until } from "../support/until.js";
import { Fleet } from "./fleet.js";

const task = defineTask("fleet", { maxRetry: 0 });
const leaseDuration = "5s";
const tasks = 10;
/** Half as long again as leases last: with leases of 30 s this is an outage of 45 s. */
const downMs = 7_500;

const handlers = [
  ["end while Redis is away", 4_000],
  ["end when it is back", 9_500],
] as const;
const faults = {
  "killed, and started again on its data": {
    down: (server: RedisServer) => server.kill(),
    up: (server: RedisServer) => server.start(),
  },
  "stopped, and continued": {
    down: async (server: RedisServer) => server.freeze(),
    up: async (server: RedisServer) => server.thaw(),
  },
};

/** Two of the four wait out an outage each, side by side, in every run; the others on demand. */
const cases = Object.entries(faults).flatMap(([how, fault], at) =>
  handlers
    .filter((_, n) => n === at || process.env["OUTAGES"] !== undefined)
    .map(([when, handlerMs]) => ({ how, fault, when, handlerMs })),
);

describeRedis("an outage longer than leases last: ten tasks in flight in three workers run ten times", () => {
  it.concurrent.each(cases)("Redis is $how; handlers $when", { timeout: 60_000 }, async ({ fault, handlerMs }) => {
    const folder = await mkdtemp(join(tmpdir(), "holdfast-outage-"));
    await using server = await RedisServer.start({ config: { appendonly: "yes", appendfsync: "always" } });
    await using broker = connect(server.url);
    const fleet = new Fleet(server.url, folder, { handlerMs, leaseDuration, concurrency: 4, flaky: ["quiet"] });
    // One that starts the moment Redis is back knows nothing of an outage, and finds ten leases that ran out.
    const newcomer = new Worker(broker, { leaseDuration, log: silent }).handle(task, () => sleep(handlerMs));
    try {
      await Promise.all([fleet.add(), fleet.add(), fleet.add()]);
      await new Client(broker).enqueueAll(Array.from({ length: tasks }, () => task()));
      await until("all run", () => fleet.runs().size === tasks, 10_000);

      await fault.down(server);
      const back = sleep(downMs).then(() => fault.up(server));
      await until("the newcomer has started", () => newcomer.start().then(() => true), 30_000);
      await back;
      const state = async () => (await broker.queues(broker.clock.nowMs()))[0]?.counts;
      await until("all are settled", async () => (await state())?.active === 0, 20_000);
      // The newcomer takes nobody's task before this, and what it took would be pending or run here by then.
      const graceMs = 5_000 / 3 + 1_500;
      await sleep(graceMs + 1_500);

      expect(await state()).toMatchObject({ pending: 0, active: 0, archived: 0, retry: 0 });
      expect([...fleet.runs().values()].map((runs) => runs.length)).toEqual(Array(tasks).fill(1));
      expect(newcomer.counters()).toMatchObject({ completed: 0, running: 0 });
      const counters = await fleet.stop();
      expect(counters.reduce((sum, { completed }) => sum + completed, 0)).toBe(tasks);
      expect(counters.map(({ leaseLost }) => leaseLost)).toEqual([0, 0, 0]);
    } finally {
      fleet.end();
      await newcomer.stop({ timeout: "0s" });
      await rm(folder, { recursive: true, force: true });
    }
  });
});
