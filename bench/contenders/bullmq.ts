import { createRequire } from "node:module";
import { Queue, Worker } from "bullmq";
import { type Contender, inFlight } from "../contender.js";

export function open(url: string): Contender {
  const { hostname: host, port } = new URL(url);
  const connection = { host, port: Number(port), maxRetriesPerRequest: null };
  const queue = new Queue("bench", { connection, defaultJobOptions: { removeOnComplete: true } });
  return {
    version: (createRequire(import.meta.url)("bullmq/package.json") as { version: string }).version,
    enqueue: (count, width) => inFlight(count, width, (n) => queue.add("noop", { n })),
    async bulk(count, size) {
      for (let at = 0; at < count; at += size) {
        await queue.addBulk(Array.from({ length: size }, (_, index) => ({ name: "noop", data: { n: at + index } })));
      }
    },
    async drain(concurrency, settled) {
      let runs = 0;
      let total = 0;
      const worker = new Worker("bench", async () => void (runs += 1), { connection, concurrency });
      worker.on("completed", () => settled((total += 1)));
      await worker.waitUntilReady();
      return { runs: () => runs, stop: () => worker.close() };
    },
    async left() {
      const counts = await queue.getJobCounts();
      return Object.values(counts).reduce((a, b) => a + b, 0);
    },
    close: () => queue.close(),
  };
}
