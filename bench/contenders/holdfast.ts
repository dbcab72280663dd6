import { readFileSync } from "node:fs";
import { Client, connect, defineTask, Worker } from "../../dist/esm/index.js";
import { type Contender, inFlight } from "../contender.js";

const noop = defineTask<{ n: number }>("noop");

export function open(url: string): Contender {
  const broker = connect(url);
  const client = new Client(broker);
  const { version } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")) as {
    version: string;
  };
  return {
    version,
    enqueue: (count, width) => inFlight(count, width, (n) => client.enqueue(noop({ n }))),
    async bulk(count, size) {
      for (let at = 0; at < count; at += size) {
        await client.enqueueAll(Array.from({ length: size }, (_, index) => noop({ n: at + index })));
      }
    },
    async drain(concurrency, settled) {
      let runs = 0;
      const worker = new Worker(broker, { concurrency }).handle(noop, async () => void (runs += 1));
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
    async left() {
      const queues = await broker.queues(broker.clock.nowMs());
      return queues.reduce((sum, { counts }) => sum + Object.values(counts).reduce((a, b) => a + b, 0), 0);
    },
    close: () => broker.close(),
  };
}
