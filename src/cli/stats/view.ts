import ansis from "ansis";
import { count, counted } from "../../core/counting.js";
import type { StorageInfo } from "../../core/info.js";
import { printable } from "../../core/printable.js";
import { unavailableQueues } from "../../core/queue-list.js";
import type { TaskState } from "../../core/state.js";
import type { QueueInfo } from "../../index.js";
import { queueJson } from "../json-shapes.js";
import { numbers, waitOf } from "../queue/view.js";
import { type Column, table } from "../table.js";
import { columns as terminalColumns, size, startOf } from "../terminal.js";
import { iso, span } from "../times.js";
import type { QueueStats, Stats } from "./look.js";

export function statsJson({ atMs, label, storage, queues, unavailable }: Stats) {
  return {
    at: iso(atMs),
    storage: { label, ...storage },
    queues: queues.map(({ queue, today: { processed, failed } }) => ({
      ...queueJson(queue),
      today: { processed, failed },
    })),
    unavailable,
  };
}

/** For people: storage, a line a queue, and all of them together; of more than there is room for, those with most to do. */
export function statsLines(stats: Stats, room = Number.POSITIVE_INFINITY): string[] {
  const { queues, unavailable } = stats;
  const head = ansis.bold(startOf(storageLine(stats), terminalColumns()));
  if (queues.length === 0) return unavailable.length > 0 ? [head] : [head, "", noQueues];
  const fit = queues.length + 4 <= room ? queues.length : Math.max(1, room - 5);
  const shown = fit === queues.length ? queues : queues.toSorted((a, b) => toDo(b) - toDo(a)).slice(0, fit);
  const rows = queues.length === 1 ? shown : [...shown, sumOf(stats)];
  const lines = table(columnsFor(rows), rows);
  const rest = `… and ${count(queues.length - fit)} more, with less to do: holdfast queue ls`;
  if (fit < queues.length) lines.splice(-1, 0, ansis.dim(startOf(rest, terminalColumns())));
  return [head, "", ...lines];
}

const noQueues = "There are no queues: one comes with the first task that is enqueued.";

/** The queues of which nothing can be told, as one sentence; undefined where there are none. */
export const missingFrom = ({ label, unavailable }: Pick<Stats, "label" | "unavailable">) =>
  unavailable.length === 0 ? undefined : unavailableQueues(label, unavailable);

const toDo = ({ queue: { counts } }: QueueStats) => counts.pending + counts.active + counts.retry;

function columnsFor(rows: readonly QueueStats[]): Column<QueueStats>[] {
  const state = (head: string, name: TaskState, rank?: number, alarming = false) =>
    numbers<QueueStats>(head, ({ queue }) => queue.counts[name], rank, alarming);
  const grouped = rows.some(({ queue }) => queue.counts.aggregating > 0);
  return [
    {
      head: "QUEUE",
      cell: ({ queue }) => `${queue.name}${queue.paused ? " (paused)" : ""}`,
      min: 9,
      style: pausedYellow,
    },
    state("PENDING", "pending"),
    state("ACTIVE", "active"),
    state("SCHED", "scheduled", 3),
    state("RETRY", "retry"),
    state("DEAD", "archived", undefined, true),
    state("DONE", "completed", 5),
    ...(grouped ? [state("GROUPED", "aggregating", 4)] : []),
    { head: "WAIT", cell: ({ queue }) => waitOf(queue), align: "right", rank: 1 },
    numbers("TODAY", ({ today }) => today.processed, 2),
    numbers("FAILED", ({ today }) => today.failed, 2, true),
  ];
}

const pausedYellow = (text: string, { queue }: QueueStats) => (queue.paused ? ansis.yellow(text) : text);

function sumOf({ queues, unavailable }: Stats): QueueStats {
  const { queue, today } = queues.reduce(added);
  return { queue: { ...queue, name: unavailable.length > 0 ? "all of these" : "all" }, today };
}

function added(a: QueueStats, b: QueueStats): QueueStats {
  const counts = Object.fromEntries(
    Object.entries(a.queue.counts).map(([state, n]) => [state, n + b.queue.counts[state as TaskState]]),
  ) as QueueInfo["counts"];
  return {
    queue: {
      name: "all",
      paused: false,
      counts,
      processed: a.queue.processed + b.queue.processed,
      failed: a.queue.failed + b.queue.failed,
      latencyMs: Math.max(a.queue.latencyMs, b.queue.latencyMs),
    },
    today: { processed: a.today.processed + b.today.processed, failed: a.today.failed + b.today.failed },
  };
}

/** "redis://127.0.0.1:6379  Redis 7.0.15, 1.2 MiB of 4.0 GiB, 12 clients, up 3 d" */
function storageLine({ label, storage }: Pick<Stats, "label" | "storage">): string {
  const parts = storage.nodes.length === 1 ? factsOf(storage) : nodesOf(storage);
  return [printable(label), parts.join(", ")].join("  ").trimEnd();
}

function nodesOf({ nodes }: StorageInfo): string[] {
  const away = nodes.filter(({ problem }) => problem !== undefined).length;
  return [`${nodes.length} nodes`, ...(away === 0 ? [] : [`${away} of them away`])];
}

function factsOf({ kind, nodes }: StorageInfo): string[] {
  const fields = nodes[0]!.fields;
  const number = (name: string) => {
    const value = Number(fields[name]);
    return fields[name] === undefined || Number.isNaN(value) ? undefined : value;
  };
  if (kind === "embedded") return Object.entries(fields).map(([name, value]) => `${name} ${value}`);
  const [used, most, clients, up] = ["used_memory", "maxmemory", "connected_clients", "uptime_in_seconds"].map(number);
  return [
    fields["redis_version"] === undefined ? "" : `Redis ${fields["redis_version"]}`,
    used === undefined ? "" : `${size(used)}${most === undefined || most === 0 ? " used" : ` of ${size(most)} used`}`,
    clients === undefined ? "" : counted(clients, "client"),
    up === undefined ? "" : `up ${span(up * 1_000)}`,
  ].filter((part) => part !== "");
}
