import type { RunningTask, WorkerInfo } from "../core/info.js";
import { storedJson } from "../core/stored-json.js";
import type { Sql } from "./sql.js";

export interface AnnounceCall {
  readonly id: string;
  /** JSON, made by `workerText`. */
  readonly info: string;
  readonly untilMs: number;
}

export function announce(sql: Sql, { id, info, untilMs }: AnnounceCall): undefined {
  sql(
    "INSERT INTO worker (id, until_ms, info) VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET until_ms = excluded.until_ms, info = excluded.info",
  ).run(id, untilMs, info);
}

export function withdraw(sql: Sql, { id }: { readonly id: string }): undefined {
  sql("DELETE FROM worker WHERE id = ?").run(id);
}

/** Those that live, as text, in whatever order. */
export function workers(sql: Sql, { nowMs }: { readonly nowMs: number }): string[] {
  const rows = sql("SELECT info FROM worker WHERE until_ms > ?").all(nowMs) as { info: string }[];
  return rows.map(({ info }) => info);
}

export function sweepWorkers(sql: Sql, limit: number, nowMs: number): void {
  sql("DELETE FROM worker WHERE id IN (SELECT id FROM worker WHERE until_ms <= ? LIMIT ?)").run(nowMs, limit);
}

/** JSON has no bytes: they stand in it as Base64. */
type TextualTask = Omit<RunningTask, "payload"> & { readonly payload: string | undefined };

export function workerText(worker: WorkerInfo): string {
  const running = worker.running.map(({ payload, ...task }): TextualTask => ({
    ...task,
    payload: payload && Buffer.from(payload).toString("base64"),
  }));
  return JSON.stringify({ ...worker, running });
}

/** `undefined` for what no worker of ours wrote. */
export function workerInfo(text: string): WorkerInfo | undefined {
  const stored = storedJson(text);
  if (!isRecord(stored)) return undefined;
  const { id, host, pid, concurrency, queues, startedAtMs, status, strictPriority, running } = stored;
  const numbers = [pid, concurrency, startedAtMs, ...(isRecord(queues) ? Object.values(queues) : [Number.NaN])];
  if (typeof id !== "string" || typeof host !== "string" || !numbers.every(Number.isFinite)) return undefined;
  if (!Array.isArray(running) || !running.every(isTask)) return undefined;
  return {
    ...({ id, host, pid, concurrency, queues, startedAtMs } as WorkerInfo),
    status: status === "active" ? "active" : "stopped",
    strictPriority: strictPriority === true,
    running: running.map(({ payload, ...task }) => ({
      ...task,
      payload: payload === undefined ? undefined : Buffer.from(payload, "base64"),
    })),
  };
}

function isTask(value: unknown): value is TextualTask {
  if (!isRecord(value)) return false;
  const { queue, id, type, payload = "", startedAtMs, limitAtMs } = value;
  const texts = [queue, id, type, payload].every((text) => typeof text === "string");
  return texts && Number.isFinite(startedAtMs) && Number.isFinite(limitAtMs);
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);
