import { join } from "node:path";
import { silent } from "../../core/log.js";
import { type Broker, Worker, type WorkerOptions, defineTask, fixed } from "../../index.js";
import { type FileEntry, indexFile } from "./file-index.js";
import { type ReportKind, writeReport } from "./file-report.js";
import { readTree } from "./tree.js";

/** Queues of the demo's own, so that it never meets real tasks where it runs on a real Redis; small files go first. */
export const demoQueues = { "demo-critical": 6, "demo-default": 3, "demo-low": 1 } as const;
export type DemoQueue = keyof typeof demoQueues;

export function queueFor(bytes: number): DemoQueue {
  if (bytes < 4_096) return "demo-critical";
  return bytes < 65_536 ? "demo-default" : "demo-low";
}

const shared = { retry: fixed("1s"), maxRetry: 2, timeout: "1m", retention: "10m" } as const;

/** Describe one file. The entry is the task's result and stays with it for ten minutes. */
export const indexTask = defineTask<{ root: string; path: string }, FileEntry>("demo:index", shared);

/** Sum a directory up in a file of its own. */
export const reportTask = defineTask<{ root: string; path: string; directory: string; kind: ReportKind }>(
  "demo:report",
  {
    ...shared,
    queue: "demo-critical",
  },
);

/** Nothing is logged: the demo fails on purpose, and its report tells of each failure. */
export function demoWorker(broker: Broker, options: WorkerOptions): Worker {
  return new Worker(broker, { ...options, queues: demoQueues, log: silent })
    .handle(indexTask, async ({ root, path }) => indexFile(join(root, path)))
    .handle(reportTask, async ({ root, path, directory, kind }) => {
      const { files } = await readTree(directory);
      await writeReport(join(root, path), kind, files);
    });
}
