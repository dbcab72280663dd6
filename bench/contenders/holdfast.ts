import { readFileSync } from "node:fs";
import { Client, connect, defineTask, Worker } from "../../dist/esm/index.js";
import { inFlight, nowMs, type Open, ownCpuS, queueNames } from "../contender.js";

const noop = defineTask<{ n: number }>("noop");

export const open: Open = (url, queueCount) => {
  const broker = connect(url);
  const client = new Client(broker);
  const names = queueNames(queueCount);
  const queues = Object.fromEntries(names.map((name) => [name, 1]));
  const request = (n: number) => noop({ n }, { queue: names[n % queueCount]! });
  const { version } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")) as {
    version: string;
  };
  return {
    version,
    cpuS: ownCpuS,
    enqueue: (count, width) => inFlight(count, width, (n) => client.enqueue(request(n))),
    async bulk(count, size) {
      for (let at = 0; at < count; at += size) {
        await client.enqueueAll(Array.from({ length: size }, (_, index) => request(at + index)));
      }
    },
    async drain(concurrency, settled) {
      let runs = 0;
      const worker = new Worker(broker, { concurrency, queues }).handle(noop, async () => void (runs += 1));
      const watch = setInterval(() => settled(worker.counters().completed), 1);
      await worker.start();
      return {
        runs: () => runs,
        async stop() {
          clearInterval(watch);
          await worker.stop();
        },
      };
    },
    async listen(started) {
      const worker = new Worker(broker, { queues }).handle(noop, () => started(nowMs()));
      await worker.start();
      return { runs: () => 0, stop: () => worker.stop() };
    },
    async left() {
      const there = await broker.queues(broker.clock.nowMs());
      return there.reduce((sum, { counts }) => sum + Object.values(counts).reduce((a, b) => a + b, 0), 0);
    },
    close: () => broker.close(),
  };
};
