import { createRequire } from "node:module";
import { inFlight, nowMs, type Open, ownCpuS, queueNames } from "../contender.js";

const require = createRequire(import.meta.url);
const Queue = require("bee-queue");

export const open: Open = (url, queueCount) => {
  const { hostname: host, port } = new URL(url);
  // Its own bulk verb is saveAll; events are off on both sides, as its documentation advises for throughput.
  const settings = {
    redis: { host, port: Number(port) },
    removeOnSuccess: true,
    getEvents: false,
    sendEvents: false,
    storeJobs: false,
  };
  const names = queueNames(queueCount);
  const producers = names.map((name) => new Queue(name, { ...settings, isWorker: false }));
  // It has a worker for each queue.
  const work = async (concurrency: number, handler: () => void, settled: () => void) => {
    const queues = names.map((name) => new Queue(name, settings));
    for (const queue of queues) {
      queue.on("succeeded", settled);
      queue.process(concurrency, async () => handler());
    }
    await Promise.all(queues.map((queue) => queue.ready()));
    return () => Promise.all(queues.map((queue) => queue.close(1_000)));
  };
  return {
    version: (require("bee-queue/package.json") as { version: string }).version,
    cpuS: ownCpuS,
    enqueue: (count, width) => inFlight(count, width, (n) => producers[n % queueCount].createJob({ n }).save()),
    async bulk(count, size) {
      for (let at = 0; at < count; at += size) {
        await Promise.all(
          producers.map((producer) =>
            producer.saveAll(Array.from({ length: size / queueCount }, (_, n) => producer.createJob({ n: at + n }))),
          ),
        );
      }
    },
    async drain(concurrency, settled) {
      let runs = 0;
      let total = 0;
      const stop = await work(
        Math.ceil(concurrency / queueCount),
        () => void (runs += 1),
        () => settled((total += 1)),
      );
      return { runs: () => runs, stop: async () => void (await stop()) };
    },
    async listen(started) {
      const stop = await work(
        10,
        () => started(nowMs()),
        () => {},
      );
      return { runs: () => 0, stop: async () => void (await stop()) };
    },
    async left() {
      const counts = await Promise.all(producers.map((producer) => producer.checkHealth()));
      return counts.reduce((sum, one) => sum + one.waiting + one.active + one.delayed + one.failed, 0);
    },
    close: async () => void (await Promise.all(producers.map((producer) => producer.close(1_000)))),
  };
};
