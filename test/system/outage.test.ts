import { setTimeout as sleep } from "node:timers/promises";
import { expect, it } from "vitest";
import { silent } from "../../src/core/log.js";
import { Client, connect, defineTask, Worker } from "../../src/index.js";
import { answersPing } from "../support/answers-ping.js";
import { FaultProxy } from "../support/fault-proxy.js";
import { describeRedis, RedisServer } from "../support/redis-server.js";
import { until } from "../support/until.js";

const task = defineTask<{ forMs: number }>("work");

const outages = Number(process.env["OUTAGES"] ?? 5);

describeRedis("a worker and an outage", () => {
  it(
    `takes its first task within a second after Redis takes commands, ${outages} times over`,
    { timeout: 20_000 + outages * 10_000 },
    async () => {
      await using server = await RedisServer.start({ config: { appendonly: "yes" } });
      await using broker = connect(server.url);
      let taken = () => {};
      await using worker = new Worker(broker, { log: silent }).handle(task, () => taken());
      await worker.start();
      const tookMs: number[] = [];
      for (let n = 0; n < outages; n += 1) {
        await until("it works", () => worker.health().state === "running");
        await server.kill();
        await sleep(Math.random() * (outages > 5 ? 5_000 : 1_500));
        const started = server.start();
        await until("Redis takes commands", () => answersPing(server.port));
        const backAtMs = performance.now();
        const first = new Promise<void>((resolve) => (taken = resolve));
        await using producer = connect(server.url);
        await new Client(producer).enqueue(task({ forMs: 0 }));
        await first;
        tookMs.push(Math.round(performance.now() - backAtMs));
        await started;
      }

      tookMs.sort((a, b) => a - b);
      const p95 = tookMs[Math.ceil(outages * 0.95) - 1]!;
      if (outages > 5) process.stdout.write(`first task after ${outages} outages, ms: ${tookMs.join(" ")}\n`);
      expect(p95).toBeLessThan(1_000);
    },
  );

  it.concurrent.each(["refuses connections", "is a black hole", "is stopped"] as const)(
    "stops in time while Redis %s",
    { timeout: 30_000 },
    async (how) => {
      await using server = await RedisServer.start();
      await using proxy = await FaultProxy.to(server.port);
      await using broker = connect(proxy.url);
      const deaf = defineTask("deaf");
      const worker = new Worker(broker, { shutdownTimeout: "1s", abortGrace: "500ms", log: silent })
        .handle(task, ({ forMs }) => sleep(forMs))
        .handle(deaf, () => sleep(20_000, undefined, { ref: false }));
      await worker.start();
      await new Client(broker).enqueueAll([task({ forMs: 500 }), deaf()]);
      await until("both run", () => worker.health().running === 2);
      if (how === "refuses connections") await proxy.refuse();
      else if (how === "is a black hole") proxy.set({ kind: "blackHole" });
      else server.freeze();
      await until("an outcome waits", () => worker.health().unsettled === 1);

      const stoppedAtMs = performance.now();
      await worker.stop();

      // 1 s for handlers, 500 ms for the one that does not listen, 2 s for storage.
      expect(performance.now() - stoppedAtMs).toBeLessThan(3_500 + 1_000);
      expect(worker.health()).toMatchObject({ state: "stopped", running: 0, unsettled: 2 });
    },
  );
});
