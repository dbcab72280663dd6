import { createRequire } from "node:module";
import type { Open } from "../contender.js";

const require = createRequire(import.meta.url);
const Queue = require("bee-queue");
const { version } = require("bee-queue/package.json") as { version: string };

/** With what its documentation asks for: stalled jobs are looked for, and the connection is tried again without end. */
export const open: Open = ({ url, tell }) => {
  const { hostname: host, port } = new URL(url);
  const settings = {
    redis: {
      host,
      port: Number(port),
      retry_strategy: ({ attempt }: { attempt: number }) => Math.min(attempt * 100, 3_000),
    },
    removeOnSuccess: true,
    activateDelayedJobs: true,
    getEvents: false,
    sendEvents: false,
    storeJobs: false,
  };
  const listening = (queue: typeof Queue) => queue.on("error", ({ message }: Error) => tell(message));
  const producer = listening(new Queue("outage", { ...settings, isWorker: false, activateDelayedJobs: false }));
  let worker: typeof Queue;
  return {
    version,
    async enqueue(n, { bytes = 0, inMs, withId }) {
      const job = producer.createJob({ n, ballast: "x".repeat(bytes) });
      if (inMs !== undefined) job.delayUntil(Date.now() + inMs);
      if (withId === true) job.setId(`task-${n}`);
      await job.save();
      return "accepted";
    },
    async work(concurrency, handler) {
      worker = listening(new Queue("outage", settings));
      worker.on("stalled", (id: string) => tell(`stalled ${id}`));
      worker.process(concurrency, ({ data }: { data: { n: number } }) => handler(data.n));
      await worker.ready();
      worker.checkStalledJobs(5_000, () => {});
    },
    repeat: async () => false,
    async left() {
      const { waiting, active, delayed, failed } = await producer.checkHealth();
      return { waiting: waiting + active + delayed, dead: failed };
    },
    stop: async () => worker?.close(),
  };
};
