import { join } from "node:path";
import { reportKinds } from "./file-report.js";
import { type DemoQueue, indexTask, queueFor, reportTask } from "./tasks.js";
import { type TreeFile, readTree } from "./tree.js";

/** A task to be enqueued, and what people call it. */
export interface Planned {
  readonly path: string;
  readonly queue: DemoQueue;
  readonly request: ReturnType<typeof indexTask> | ReturnType<typeof reportTask>;
}

export interface Plan {
  /** One per file. The reports come first: they do not exist yet, so their tasks fail until `later` has made them. */
  readonly tasks: readonly Planned[];
  /** The largest files once more, as a second scan of the same folder would: their tasks are unique and refused. */
  readonly again: readonly Planned[];
  /** Tasks that run 2 s from now. */
  readonly later: readonly Planned[];
}

const uniqueCount = 5;

export async function planDemo(directory: string, files: readonly TreeFile[], workshop: string): Promise<Plan> {
  const reports = reportKinds.map((kind) => ({ kind, path: `reports/files-by-${kind}.csv` }));
  const { files: badFiles } = await readTree(join(workshop, "bad-files"));
  const largest = new Set(files.toSorted((a, b) => b.bytes - a.bytes).slice(0, uniqueCount));
  const mine = files.map((file) => indexing(directory, file, largest.has(file)));
  return {
    tasks: [
      ...reports.map(({ path }) => waitingFor(workshop, path)),
      ...badFiles.map(({ path, bytes }) => indexing(workshop, { path: `bad-files/${path}`, bytes }, false)),
      ...mine,
    ],
    again: files.flatMap((file, index) => (largest.has(file) ? [mine[index]!] : [])),
    later: reports.map(({ kind, path }) => ({
      path,
      queue: "demo-critical",
      request: reportTask({ root: workshop, path, directory, kind }, { processIn: "2s" }),
    })),
  };
}

function indexing(root: string, { path, bytes }: TreeFile, unique: boolean): Planned {
  const queue = queueFor(bytes);
  return { path, queue, request: indexTask({ root, path }, unique ? { queue, unique: "1m" } : { queue }) };
}

/** More retries than the others: it knows that it will have to wait. */
function waitingFor(root: string, path: string): Planned {
  const queue = "demo-critical";
  return { path, queue, request: indexTask({ root, path }, { queue, maxRetry: 20 }) };
}
