import { createRequire } from "node:module";
import { type Contender, inFlight } from "../contender.js";

const require = createRequire(import.meta.url);
const Queue = require("bee-queue");

export function open(url: string): Contender {
  const { hostname: host, port } = new URL(url);
  // Its own bulk verb is saveAll; events are off on both sides, as its documentation advises for throughput.
  const settings = {
    redis: { host, port: Number(port) },
    removeOnSuccess: true,
    getEvents: false,
    sendEvents: false,
    storeJobs: false,
  };
  const producer = new Queue("bench", { ...settings, isWorker: false });
  return {
    version: (require("bee-queue/package.json") as { version: string }).version,
    enqueue: (count, width) => inFlight(count, width, (n) => producer.createJob({ n }).save()),
    async bulk(count, size) {
      for (let at = 0; at < count; at += size) {
        await producer.saveAll(Array.from({ length: size }, (_, index) => producer.createJob({ n: at + index })));
      }
    },
    async drain(concurrency, settled) {
      let runs = 0;
      let total = 0;
      const queue = new Queue("bench", settings);
      queue.on("succeeded", () => settled((total += 1)));
      queue.process(concurrency, async () => void (runs += 1));
      await queue.ready();
      return { runs: () => runs, stop: () => queue.close(1_000) };
    },
    async left() {
      const counts = await producer.checkHealth();
      return counts.waiting + counts.active + counts.delayed + counts.failed;
    },
    close: () => producer.close(1_000),
  };
}
