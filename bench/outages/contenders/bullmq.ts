import { createRequire } from "node:module";
import { Queue, Worker } from "bullmq";
import type { Open } from "../contender.js";

const { version } = createRequire(import.meta.url)("bullmq/package.json") as { version: string };

/** As it comes, or with its documented way of failing fast: `bullmq:fail-fast`. */
export const open: Open = ({ url, variant, tell }) => {
  const { hostname: host, port } = new URL(url);
  const place = { host, port: Number(port) };
  const queue = new Queue("outage", {
    connection: variant === "fail-fast" ? { ...place, enableOfflineQueue: false } : place,
    defaultJobOptions: { removeOnComplete: true },
  });
  queue.on("error", ({ message }) => tell(message));
  let stop = async () => {};
  return {
    version,
    async enqueue(n, { bytes = 0, inMs, withId }) {
      await queue.add(
        "outage",
        { n, ballast: "x".repeat(bytes) },
        { ...(inMs === undefined ? {} : { delay: inMs }), ...(withId === true ? { jobId: `task-${n}` } : {}) },
      );
      return "accepted";
    },
    async work(concurrency, handler) {
      const worker = new Worker("outage", ({ data }) => handler((data as { n: number }).n), {
        connection: { ...place, maxRetriesPerRequest: null },
        concurrency,
      });
      worker.on("error", ({ message }) => tell(message));
      worker.on("stalled", (id) => tell(`stalled ${id}`));
      worker.on("failed", (job, { message }) => tell(`failed ${job?.id}: ${message}`));
      stop = () => worker.close();
      await worker.waitUntilReady();
    },
    async repeat(everyMs) {
      await queue.upsertJobScheduler("tick", { every: everyMs }, { name: "outage", data: { n: 0 } });
      return true;
    },
    async left() {
      const counts = await queue.getJobCounts();
      const { failed = 0, completed: _, paused: __, ...waiting } = counts;
      return { waiting: Object.values(waiting).reduce((a, b) => a + b, 0), dead: failed };
    },
    stop: () => stop(),
  };
};
