import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { type Broker, Client, type EnqueueReceipt, HoldfastError, connect } from "../../index.js";
import { pause, untilSignal } from "../../core/loop.js";
import { deadLetterAct } from "./dead-letter-act.js";
import { type DemoReport, type NamedTask, readEndings } from "./demo-report.js";
import { type Plan, type Planned, planDemo } from "./plan.js";
import type { Progress } from "./progress.js";
import { demoWorker } from "./tasks.js";
import { leftOut, readTree } from "./tree.js";
import { Watch } from "./watch.js";
import { openWorkshop } from "./workshop.js";

export interface DemoOptions {
  readonly directory: string;
  /** Paths in the directory that are left out. */
  readonly without: readonly string[];
  /** The folder of bad files that the package ships. */
  readonly badFiles: string;
  /** Which storage; the embedded engine on a temporary file unless given. */
  readonly url: string | undefined;
  readonly progress: Progress;
  /** Called once, before the work begins. */
  readonly onPlanned: (plan: { readonly files: number; readonly storage: string }) => void;
}

/**
 * Index a directory: one task per file. Resolves with what was done, or with `undefined` when a signal called it off.
 * @throws OPTION_INVALID when there is no such directory, or no file in it; what `connect` and the broker throw
 */
export async function runDemo(options: DemoOptions): Promise<DemoReport | undefined> {
  const tree = await readTree(options.directory, options.without);
  if (tree.files.length === 0) {
    const problem = `no files found in ${JSON.stringify(options.directory)}; left out are ${[...leftOut].join(", ")}`;
    throw new HoldfastError("OPTION_INVALID", { option: "DIR", problem });
  }
  const calledOff = new AbortController();
  void untilSignal().then(() => calledOff.abort());
  await using workshop = await openWorkshop(options.badFiles);
  const plan = await planDemo(options.directory, tree.files, workshop.root);
  await using broker = connect(options.url ?? pathToFileURL(join(workshop.root, "tasks.db")).href);
  await broker.ping();
  options.onPlanned({
    files: tree.files.length,
    storage: options.url === undefined ? "a temporary file" : broker.label,
  });

  const startMs = performance.now();
  const enqueued = await enqueuePlan(broker, plan);
  const workingMs = performance.now();
  using watch = new Watch(broker, enqueued.tasks);
  await workUntilEnded(broker, watch, options.progress, calledOff.signal);
  if (calledOff.signal.aborted) return undefined;

  const endings = await readEndings(broker, enqueued.tasks);
  const { deadLetters } = endings;
  return {
    directory: options.directory,
    storage: broker.label,
    node: process.version,
    filesFound: tree.files.length,
    tasks: watch.total,
    duplicatesRefused: enqueued.duplicates,
    delayedTasks: plan.later.length,
    enqueueMs: Math.round(workingMs - startMs),
    workMs: Math.round(watch.endedAtMs(1) - workingMs),
    first90PercentMs: Math.round(watch.endedAtMs(0.9) - workingMs),
    ...endings,
    afterwards: deadLetters.length === 0 ? null : await deadLetterAct(broker, workshop.root, deadLetters),
    unreadableFolders: tree.closed,
    stoppedAtFileLimit: tree.cut,
  };
}

/** The tasks to follow: for a duplicate the one that holds the lock, which is the same work. */
async function enqueuePlan(broker: Broker, plan: Plan): Promise<{ tasks: NamedTask[]; duplicates: number }> {
  const client = new Client(broker, { timeout: "30s" });
  const tasks = new Map<string, NamedTask>();
  let duplicates = 0;
  for (const planned of [plan.tasks, plan.again, plan.later]) {
    const receipts = await client.enqueueAll(planned.map(({ request }) => request));
    duplicates += receipts.filter(({ status }) => status === "duplicate").length;
    receipts.forEach((receipt, index) => follow(tasks, planned[index]!, receipt));
  }
  return { tasks: [...tasks.values()], duplicates };
}

function follow(tasks: Map<string, NamedTask>, { path, queue }: Planned, { id }: EnqueueReceipt): void {
  if (!tasks.has(id)) tasks.set(id, { path, queue, id });
}

async function workUntilEnded(broker: Broker, watch: Watch, progress: Progress, calledOff: AbortSignal): Promise<void> {
  const worker = demoWorker(broker, { concurrency: 10 });
  await worker.start();
  try {
    for (let looks = 0; watch.ended < watch.total && !calledOff.aborted; looks += 1) {
      progress.show(watch);
      await pause(50, calledOff);
      if (looks % 20 === 19) await watch.look();
    }
    progress.show(watch);
  } finally {
    progress.end();
    await worker.stop();
  }
}
