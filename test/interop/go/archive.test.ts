import { setTimeout as pause } from "node:timers/promises";
import { afterAll, beforeAll, expect, it } from "vitest";
import { archiveKeep } from "../../../src/broker/broker.js";
import { silent } from "../../../src/core/log.js";
import { defineTask, Worker } from "../../../src/index.js";
import { newTask, settled } from "../../support/builders.js";
import { until } from "../../support/until.js";
import { buildTimeoutMs, describeGo } from "./programs.js";
import { Site } from "./site.js";

const queue = "default";

describeGo("dead letters beside Go workers, whose asynq deletes beyond 9,999", () => {
  let site: Site;

  beforeAll(async () => {
    site = await Site.open();
  }, buildTimeoutMs);
  afterAll(() => site.close());

  /** 500 at a time, as workers settle them. */
  async function archiveHere(count: number): Promise<void> {
    const { broker } = site;
    for (let at = 0; at < count; at += 500) {
      const nowMs = broker.clock.nowMs();
      await broker.enqueue(
        Array.from({ length: 500 }, (_, n) => newTask({ id: `ours-${at + n}` })),
        nowMs,
      );
      const lease = {
        workerId: "w",
        requestId: `r${at}`,
        queues: [queue],
        limit: 500,
        leaseMs: 30_000,
        suspects: 1,
      };
      const { leased } = await broker.exchange({ settle: [], lease }, nowMs);
      await broker.exchange({ settle: leased.map((task) => settled.archived(task)) }, nowMs);
    }
  }
  const kept = async (pattern: string) => {
    let count = 0;
    for await (const keys of site.server.admin.scanStream({ match: pattern, count: 1_000 })) count += keys.length;
    return count;
  };

  it("all stay, Go's own too, while Go fails as fast as it can and one of our workers just serves the queue", async () => {
    await archiveHere(20_000);
    expect(await site.server.admin.zcard(`asynq:{${queue}}:archived`)).toBe(archiveKeep);
    const dead = 12_000;
    for (let at = 0; at < dead; at += 1_000)
      await site.go.enqueue(...Array.from({ length: 1_000 }, (_, n) => ({ id: `go-${at + n}`, type: "dead" })));

    const worker = new Worker(site.broker, { concurrency: 1, log: silent });
    worker.handle(defineTask("dead"), () => pause(100));
    await worker.start();
    await site.go.serve({ concurrency: 100, handlers: { dead: { fail: 1, error: "no use", skip: true } } });
    await until(
      "all have failed",
      async () => (await site.server.admin.exists(`asynq:{${queue}}:pending`, `asynq:{${queue}}:active`)) === 0,
      60_000,
    );
    await site.go.stop();
    await worker.stop();

    expect(await kept("asynq:{default}:t:ours-*")).toBe(20_000);
    const died = dead - worker.counters().completed;
    expect(died).toBeGreaterThan(11_000);
    expect(await kept("asynq:{default}:t:go-*")).toBe(died);
    expect((await site.broker.queues(site.broker.clock.nowMs()))[0]!.counts.archived).toBe(20_000 + died);
  }, 120_000);
});
