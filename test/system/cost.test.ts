import { afterAll, beforeAll, expect, it } from "vitest";
import { type Broker, Client, connect, defineTask, Worker } from "../../src/index.js";
import { describeRedis, RedisServer } from "../support/redis-server.js";

const count = 2_000;
const noop = defineTask<{ n: number }>("noop");
const requests = Array.from({ length: count }, (_, n) => noop({ n }));

/** What the server counted of one part of the work, divided by its tasks. */
interface Cost {
  /** Times that it read from a connection: what is sent together is one, up to 16 KB. */
  readonly trips: number;
  /** Scripts run. */
  readonly scripts: number;
  /** Commands, those inside scripts included. */
  readonly commands: number;
  /** Bytes to and from the server. */
  readonly bytes: number;
  /** Bytes of memory more than before. */
  readonly memory: number;
}

/**
 * Ceilings a tenth to a quarter above what was measured when they were set: who makes a task dearer has to say so here.
 * Counts, not times, so that they hold on any machine.
 */
const ceilings: Record<string, Cost> = {
  "enqueued one by one": { trips: 1.05, scripts: 1.05, commands: 11, bytes: 400, memory: 650 },
  "enqueued together": { trips: 0.01, scripts: 0.01, commands: 2.3, bytes: 170, memory: 600 },
  "drained at concurrency 10": { trips: 0.05, scripts: 0.05, commands: 5, bytes: 220, memory: 0 },
  "drained at concurrency 100": { trips: 0.03, scripts: 0.03, commands: 5, bytes: 200, memory: 0 },
};

describeRedis("what a task costs the server", () => {
  let server: RedisServer;
  let broker: Broker;
  beforeAll(async () => {
    server = await RedisServer.start();
    broker = connect(server.url);
    await broker.ping();
    // The server keeps the scripts that it has run: that memory is no task's.
    await new Client(broker).enqueue(noop({ n: 0 }));
    await new Worker(broker).handle(noop, () => {}).drain();
  });
  afterAll(async () => {
    await broker.close();
    await server.stop();
  });

  const counters = async () => {
    const info = await server.admin.info("everything");
    const read = (name: string) => Number(new RegExp(`^${name}:(\\d+)`, "m").exec(info)?.[1] ?? 0);
    const scripts = [...info.matchAll(/^cmdstat_eval(?:sha)?:calls=(\d+)/gm)].reduce(
      (sum, [, n]) => sum + Number(n),
      0,
    );
    return {
      trips: read("total_reads_processed"),
      scripts,
      commands: read("total_commands_processed"),
      bytes: read("total_net_input_bytes") + read("total_net_output_bytes"),
      memory: read("used_memory"),
    };
  };
  const costOf = async (work: () => Promise<unknown>): Promise<Cost> => {
    const before = await counters();
    await work();
    const after = await counters();
    const perTask = (name: keyof Cost) => (after[name] - before[name]) / count;
    return {
      trips: perTask("trips"),
      scripts: perTask("scripts"),
      commands: perTask("commands"),
      bytes: perTask("bytes"),
      memory: perTask("memory"),
    };
  };
  const drain = (concurrency: number) => () => new Worker(broker, { concurrency }).handle(noop, () => {}).drain();
  const enqueueAll = () => new Client(broker).enqueueAll(requests);
  const oneByOne = async () => {
    const client = new Client(broker);
    for (const request of requests) await client.enqueue(request);
  };

  it.each([
    ["enqueued one by one", oneByOne],
    ["drained at concurrency 10", drain(10)],
    ["enqueued together", enqueueAll],
    ["drained at concurrency 100", drain(100)],
  ])("%s", async (name, work) => {
    const cost = await costOf(work);
    for (const [what, most] of Object.entries(ceilings[name]!)) {
      expect(cost[what as keyof Cost], `${what} a task`).toBeLessThanOrEqual(most);
    }
  });

  it("leases from a thousand queues in one trip", async () => {
    const queues = Array.from({ length: 1_000 }, (_, n) => `q${n}`);
    const [first, last] = [queues[0]!, queues.at(-1)!];
    await new Client(broker).enqueueAll([first, last].map((queue) => noop({ n: 0 }, { queue })));
    const lease = { workerId: "w", requestId: "r", queues, limit: 10, leaseMs: 30_000, suspects: 1 };

    const before = await counters();
    const { leased } = await broker.exchange({ settle: [], lease }, broker.clock.nowMs());
    const { scripts } = await counters();

    expect(leased.map((task) => task.lease.queue)).toEqual([first, last]);
    expect(scripts - before.scripts).toBe(1);
  });
});
