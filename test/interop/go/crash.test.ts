import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { silent } from "../../../src/core/log.js";
import { Client, connect, defineTask, Worker } from "../../../src/index.js";
import { RedisServer } from "../../support/redis-server.js";
import { until } from "../../support/until.js";
import { Fleet, type Run } from "../../chaos/fleet.js";
import { loop } from "../../../src/core/loop.js";
import { seeded } from "../../support/seeded.js";
import { fill, MixedFleet, ofGo } from "./mixed-fleet.js";
import { buildTimeoutMs, describeGo, goProgram } from "./programs.js";
import { Witness } from "./witness.js";

/** asynq's, and not to be changed: so long is a Go worker's lease, and so long everyone leaves it alone after that. */
const leaseMs = 30_000;
const graceMs = 30_000;
const [tasks, kills] = process.env["FLEET"] === "full" ? [50_000, 12] : [5_000, 4];

/** Both wait for a minute on asynq's clocks, so they wait together. */
describeGo("a worker is killed while it runs tasks", () => {
  let server: RedisServer;
  let folder: string;
  const witnesses: Witness[] = [];

  beforeAll(async () => {
    await goProgram("witness");
    server = await RedisServer.start();
    folder = await mkdtemp(join(tmpdir(), "holdfast-crash-"));
  }, buildTimeoutMs);
  afterAll(async () => {
    await Promise.all(witnesses.map((witness) => witness.kill()));
    await server.stop();
    await rm(folder, { recursive: true, force: true });
  });

  const witness = async () => {
    const started = await Witness.start(server);
    witnesses.push(started);
    return started;
  };
  const nothingHeld = async (queue: string) =>
    expect(
      await server.admin.exists(`asynq:{${queue}}:active`, `asynq:{${queue}}:lease`, `holdfast:{${queue}}:leases`),
    ).toBe(0);

  describe.concurrent("alone, and in a fleet", () => {
    it("Go's task runs here a minute later, and no retry is used up, not even where there is none", async () => {
      const queue = "of-go";
      await using broker = connect(server.url);
      const dying = await witness();
      await dying.enqueue(
        { id: "retries", type: "t", queue, maxRetry: 5, headers: { a: "1" } },
        { id: "no retry", type: "t", queue, maxRetry: 0, retentionMs: 60_000 },
      );
      await dying.serve({ queues: { [queue]: 1 }, handlers: { t: { block: true } } });
      await Promise.all([dying.started("retries"), dying.started("no retry")]);
      const runs: unknown[] = [];
      const worker = new Worker(broker, { queues: { [queue]: 1 }, log: silent });
      worker.handle(defineTask("t"), (_payload, { id, attempt, crashes, headers }) => {
        runs.push({ id, attempt, crashes, headers, afterMs: performance.now() - killedAtMs });
      });
      await worker.start();
      const killedAtMs = performance.now();
      await dying.kill();

      await until("both have run", () => runs.length >= 2, leaseMs + graceMs + 20_000);
      await worker.stop();

      // Go's heartbeat, every 5 s, may have been a while ago, and its seconds are whole ones.
      const afterMs = expect.toSatisfy(
        (ms: number) => ms > leaseMs + graceMs - 7_000 && ms < leaseMs + graceMs + 15_000,
      );
      expect(runs.length).toBe(2);
      expect(runs).toContainEqual({ id: "retries", attempt: 1, crashes: 1, headers: { a: "1" }, afterMs });
      expect(runs).toContainEqual({ id: "no retry", attempt: 1, crashes: 1, headers: {}, afterMs });
      const look = await witness();
      expect(await look.find(queue, "no retry")).toMatchObject({ state: "completed", retried: 0, lastErr: "" });
      await nothingHeld(queue);
      expect(await server.admin.mget(`asynq:{${queue}}:processed`, `asynq:{${queue}}:failed`)).toEqual(["2", null]);
    });

    it("ours runs in Go as asynq has it: a retry less, and a dead letter where there is none", async () => {
      const queue = "default"; // The one that a fleet's workers look at.
      await using broker = connect(server.url);
      await new Client(broker).enqueueAll([
        defineTask("fleet")(undefined, { id: "retries", maxRetry: 5, headers: { a: "1" } }),
        defineTask("fleet")(undefined, { id: "no retry", maxRetry: 0 }),
      ]);
      const fleet = new Fleet(server.url, folder, { handlerMs: 600_000, concurrency: 10, leaseDuration: "5s" });
      const dying = await fleet.add();
      await until("it runs both", () => fleet.runs().size === 2);
      const survivor = await witness();
      await survivor.serve();
      await fleet.kill(dying);

      const state = async (id: string) => (await survivor.find(queue, id).catch(() => undefined))?.state;
      await until(
        "neither is active",
        async () => (await state("no retry")) === "archived" && (await state("retries")) === undefined,
        90_000,
      );

      expect(await survivor.ended("retries")).toMatchObject([{ retried: 1, maxRetry: 5, headers: { a: "1" } }]);
      expect(await survivor.find(queue, "no retry")).toMatchObject({
        state: "archived",
        retried: 0,
        lastErr: "asynq: task lease expired",
      });
      expect((await broker.find([{ queue, id: "no retry" }]))[0]!.failure).toMatchObject({
        reason: "lease_expired",
        inferred: true,
      });
      await survivor.stop();
      expect(survivor.warnings).toEqual([]);
      expect(await server.admin.exists(`asynq:{${queue}}:active`, `asynq:{${queue}}:lease`)).toBe(0);
    });

    it(`${kills} of three workers each of Go and of Holdfast, at random: none of ${tasks} tasks is lost`, async () => {
      await using own = await RedisServer.start();
      await using broker = connect(own.url);
      const { ids, flaky } = await fill(own, tasks);
      const fleet = new MixedFleet(own, await mkdtemp(join(folder, "fleet-")), 100);
      try {
        for (const _ of [1, 2, 3]) await Promise.all([fleet.addGo(), fleet.addOurs()]);
        const random = seeded(7);
        const over = new AbortController();
        await loop(
          async () => {
            await fleet.replaceOne(random);
            if (fleet.killedAtMs.size === kills) over.abort();
          },
          { everyMs: 1_000, signal: over.signal, onError: (error) => over.abort(error) },
        );
        const waiting = async () =>
          (await broker.queues(broker.clock.nowMs()))
            .map(({ counts: { pending, active, scheduled, retry } }) => pending + active + scheduled + retry)
            .reduce((a, b) => a + b);
        await until("no task waits or runs", async () => (await waiting()) === 0, 170_000);
        await fleet.stop();
      } finally {
        await fleet.end();
      }

      const runs = fleet.runs();
      expect(fleet.killedAtMs.size).toBe(kills);
      expect([...fleet.killedAtMs.keys()].some((process) => ofGo({ process }))).toBe(true);
      expect([...ids].filter((id) => !runs.has(id))).toEqual([]);
      expect([...runs.keys()].filter((id) => !ids.has(id))).toEqual([]);
      expect(
        [...runs].filter(([id, list]) => !list.slice(0, -1).every((run) => explained(run, flaky.has(id)))),
      ).toEqual([]);
      const again = [...runs].filter(([id, list]) => list.length > (flaky.has(id) ? 2 : 1));
      // oxlint-disable-next-line no-console -- a figure for whoever reads the report
      console.info(`${kills} kills, ${again.length} tasks ran once more for them`);
      expect(again.length).toBeGreaterThan(0);

      /** A run is followed by another one only if its process was killed during it or just after it, or if it failed. */
      function explained(run: Run, fails: boolean): boolean {
        if (fails && run.attempt === 1 && run.endedAtMs !== undefined) return true;
        const killedAtMs = fleet.killedAtMs.get(run.process);
        return killedAtMs !== undefined && (run.endedAtMs ?? killedAtMs) > killedAtMs - 2_000;
      }
    }, 300_000);
  });
});
