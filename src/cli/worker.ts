import { Command } from "commander";
import ansis from "ansis";
import type { RunningTask, WorkerInfo } from "../core/info.js";
import { unavailableWorkers } from "../core/worker-list.js";
import { type StorageFlags, teaching, withStorage } from "./flags.js";
import { workerJson } from "./json-shapes.js";
import { note, print, printJson } from "./output.js";
import { withStorageOpen } from "./storage.js";
import { type Column, table } from "./table.js";
import { relative, span } from "./times.js";

export function workerCommand(): Command {
  return new Command("worker")
    .summary("look at the workers that are alive")
    .description("Look at the workers that are alive.")
    .addCommand(lsCommand());
}

function lsCommand(): Command {
  const command = new Command("ls")
    .summary("workers that are alive, and what they run")
    .description("Workers that are alive, Go's on the same storage included, with their queues (and weights).")
    .option("--tasks", "also the tasks that they run now");
  return teaching(
    withStorage(command),
    ["holdfast worker ls --tasks", "holdfast worker ls --json | jq '.[] | {host, running: (.running | length)}'"],
    "A worker that died is listed until its announcement ends, some seconds later. Exit code 5: of some nothing can be told, for a node of the Cluster is away; the others are listed.",
  ).action(async (flags: StorageFlags & { tasks?: true }) =>
    withStorageOpen(flags, async ({ broker, inspector }) => {
      const workers = await inspector.workers();
      const nowMs = broker.clock.nowMs();
      const { unavailable } = workers;
      if (flags.json === true) await printJson(workers.map(workerJson));
      else if (workers.length > 0) {
        await print(...workerLines(workers, nowMs));
        if (flags.tasks === true) await print("", ...runningLines(workers, nowMs));
      } else if (unavailable.length === 0) note("No worker is alive.");
      if (unavailable.length > 0) throw unavailableWorkers(broker.label, unavailable);
    }),
  );
}

function workerLines(workers: readonly WorkerInfo[], nowMs: number): string[] {
  const columns: readonly Column<WorkerInfo>[] = [
    { head: "WORKER", cell: ({ host, pid }) => `${host}:${pid}`, min: 12 },
    { head: "RUNNING", cell: ({ running, concurrency }) => `${running.length}/${concurrency}`, align: "right" },
    { head: "STARTED", cell: ({ startedAtMs }) => relative(startedAtMs, nowMs), align: "right", rank: 2 },
    { head: "STATE", cell: ({ status }) => (status === "stopped" ? "stopping" : status), rank: 1 },
    { head: "QUEUES", cell: queuesOf, min: 12 },
  ];
  return table(columns, workers);
}

function queuesOf({ queues, strictPriority }: WorkerInfo): string {
  const names = Object.entries(queues)
    .toSorted(([, a], [, b]) => b - a)
    .map(([name, weight]) => (strictPriority ? name : `${name}:${weight}`));
  return strictPriority && names.length > 1 ? names.join(" before ") : names.join(" ");
}

interface Running {
  readonly worker: WorkerInfo;
  readonly task: RunningTask;
}

function runningLines(workers: readonly WorkerInfo[], nowMs: number): string[] {
  const rows = workers.flatMap((worker) => worker.running.map((task) => ({ worker, task })));
  if (rows.length === 0) return ["They run no task now."];
  const columns: readonly Column<Running>[] = [
    { head: "TASK", cell: ({ task }) => task.id },
    { head: "TYPE", cell: ({ task }) => task.type, min: 8 },
    { head: "QUEUE", cell: ({ task }) => task.queue, min: 7 },
    { head: "SINCE", cell: ({ task }) => span(Math.max(0, nowMs - task.startedAtMs)), align: "right" },
    {
      head: "LEFT",
      cell: ({ task }) => (task.limitAtMs === 0 ? "" : span(Math.max(0, task.limitAtMs - nowMs))),
      align: "right",
      rank: 2,
      style: (text, { task }) => (task.limitAtMs !== 0 && task.limitAtMs < nowMs ? ansis.yellow(text) : text),
    },
    { head: "WORKER", cell: ({ worker }) => `${worker.host}:${worker.pid}`, min: 8, rank: 1 },
  ];
  return table(columns, rows);
}
