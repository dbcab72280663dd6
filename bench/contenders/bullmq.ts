import { createRequire } from "node:module";
import { Queue, Worker } from "bullmq";
import { inFlight, nowMs, type Open, ownCpuS, queueNames } from "../contender.js";

export const open: Open = (url, queueCount) => {
  const { hostname: host, port } = new URL(url);
  const connection = { host, port: Number(port), maxRetriesPerRequest: null };
  const names = queueNames(queueCount);
  const queues = names.map((name) => new Queue(name, { connection, defaultJobOptions: { removeOnComplete: true } }));
  // It has a worker for each queue.
  const work = async (concurrency: number, handler: () => void, settled: () => void) => {
    const workers = names.map((name) => {
      const worker = new Worker(name, async () => handler(), { connection, concurrency });
      worker.on("completed", settled);
      return worker;
    });
    await Promise.all(workers.map((worker) => worker.waitUntilReady()));
    return workers;
  };
  return {
    version: (createRequire(import.meta.url)("bullmq/package.json") as { version: string }).version,
    cpuS: ownCpuS,
    enqueue: (count, width) => inFlight(count, width, (n) => queues[n % queueCount]!.add("noop", { n })),
    async bulk(count, size) {
      for (let at = 0; at < count; at += size) {
        await Promise.all(
          queues.map((queue) =>
            queue.addBulk(Array.from({ length: size / queueCount }, (_, n) => ({ name: "noop", data: { n: at + n } }))),
          ),
        );
      }
    },
    async drain(concurrency, settled) {
      let runs = 0;
      let total = 0;
      const workers = await work(
        Math.ceil(concurrency / queueCount),
        () => void (runs += 1),
        () => settled((total += 1)),
      );
      return { runs: () => runs, stop: async () => void (await Promise.all(workers.map((worker) => worker.close()))) };
    },
    async listen(started) {
      const workers = await work(
        10,
        () => started(nowMs()),
        () => {},
      );
      return { runs: () => 0, stop: async () => void (await Promise.all(workers.map((worker) => worker.close()))) };
    },
    async left() {
      const counts = await Promise.all(queues.map((queue) => queue.getJobCounts()));
      return counts.flatMap((count) => Object.values(count)).reduce((a, b) => a + b, 0);
    },
    close: async () => void (await Promise.all(queues.map((queue) => queue.close()))),
  };
};
