import type { Broker, TaskInfo } from "../../index.js";
import type { FileEntry } from "./file-index.js";
import { type DemoQueue, demoQueues, indexTask } from "./tasks.js";
import type { FollowedTask } from "./watch.js";

interface Ended {
  readonly path: string;
  readonly queue: string;
  readonly attempts: number;
}
export type IndexedFile = Ended & FileEntry;
export interface DeadLetter extends Ended {
  readonly id: string;
  readonly reason: string;
  readonly message: string;
}

/** What was done about the dead letters, as `--json` prints it. */
export interface DeadLetterReport {
  /** By cause, those with most first. */
  readonly groups: readonly { readonly fingerprint: string; readonly count: number; readonly message: string }[];
  /** One that was run again as a copy with another payload; null where there was none to edit. */
  readonly edited: {
    readonly path: string;
    readonly payload: string;
    readonly copy: string;
    readonly became: string;
  } | null;
  /** The cause that was mended, and what became of its dead letters; null where there was none to mend. */
  readonly healed: { readonly fingerprint: string; readonly redriven: number; readonly succeeded: number } | null;
}

export interface QueueTotals {
  readonly name: string;
  readonly weight: number;
  readonly tasks: number;
  readonly completed: number;
  readonly deadLetters: number;
  readonly retries: number;
  readonly bytes: number;
  readonly lines: number;
  readonly gzipBytes: number;
}

/** What the demo did, as `--json` prints it. */
export interface DemoReport {
  readonly directory: string;
  readonly storage: string;
  readonly node: string;
  /** Files of the directory: a task for each. */
  readonly filesFound: number;
  /** All that were followed to their end: those of the files, and those of the demo's bad files and reports. */
  readonly tasks: number;
  /** Tasks that storage does not know any more, such as after a Redis without persistence was restarted. */
  readonly lostTasks: number;
  readonly duplicatesRefused: number;
  readonly delayedTasks: number;
  readonly enqueueMs: number;
  /** From the worker's start to the last task's end. */
  readonly workMs: number;
  /** From the worker's start until 90% had ended; what is left waits for a retry or for its time. */
  readonly first90PercentMs: number;
  readonly queues: readonly QueueTotals[];
  readonly files: readonly IndexedFile[];
  readonly deadLetters: readonly DeadLetter[];
  /** What was done about them afterwards; null where there were none. */
  readonly afterwards: DeadLetterReport | null;
  readonly unreadableFolders: readonly string[];
  /** There were more files than the demo takes. */
  readonly stoppedAtFileLimit: boolean;
}

export type NamedTask = FollowedTask & { readonly path: string };
type Endings = Pick<DemoReport, "files" | "deadLetters" | "lostTasks" | "queues">;

/** Read from storage what became of these tasks. */
export async function readEndings(broker: Broker, tasks: readonly NamedTask[]): Promise<Endings> {
  const files: IndexedFile[] = [];
  const deadLetters: DeadLetter[] = [];
  let known = 0;
  const totals = new Map(
    Object.entries(demoQueues).map(([name, weight]) => [name, emptyTotals(name as DemoQueue, weight)]),
  );
  for (let start = 0; start < tasks.length; start += 500) {
    const some = tasks.slice(start, start + 500);
    const found = await broker.find(some);
    for (const [index, { path, queue }] of some.entries()) {
      const info = found[index];
      const total = totals.get(queue);
      if (info === undefined || total === undefined) continue;
      known += 1;
      const retries = info.message?.retried ?? 0;
      total.tasks += 1;
      total.retries += retries;
      const ended = { path, queue, attempts: retries + 1 };
      if (info.state === "archived") {
        total.deadLetters += 1;
        deadLetters.push({
          id: info.id,
          ...ended,
          reason: info.failure?.reason ?? "unknown",
          message: info.failure?.message ?? "",
        });
      } else if (info.state === "completed") {
        total.completed += 1;
        const entry = entryOf(info);
        if (entry === undefined) continue;
        files.push({ ...ended, ...entry });
        total.bytes += entry.bytes;
        total.lines += entry.lines;
        total.gzipBytes += entry.gzipBytes;
      }
    }
  }
  return { files, deadLetters, lostTasks: tasks.length - known, queues: [...totals.values()] };
}

const emptyTotals = (name: DemoQueue, weight: number) => ({
  name,
  weight,
  tasks: 0,
  completed: 0,
  deadLetters: 0,
  retries: 0,
  bytes: 0,
  lines: 0,
  gzipBytes: 0,
});

/** A task's result; the tasks that write reports have none. */
function entryOf(info: TaskInfo): FileEntry | undefined {
  if (info.result === undefined || info.message?.type !== indexTask.type) return undefined;
  return JSON.parse(new TextDecoder().decode(info.result)) as FileEntry;
}
