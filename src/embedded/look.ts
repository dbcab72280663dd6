import type { TaskRef } from "../broker/broker.js";
import type { Page, QueueInfo } from "../core/info.js";
import type { Sql } from "./sql.js";
import type { StoredState } from "./tally.js";

export interface InfoRow extends TaskRef {
  readonly state: StoredState;
  readonly rank: number;
  readonly crashes: number;
  readonly failure: string | null;
  readonly result: Uint8Array | null;
  readonly message: Uint8Array;
}

type QueueRow = Record<StoredState | "paused" | "processed" | "failed", number> & { name: string };

export function queues(sql: Sql, { nowMs }: { readonly nowMs: number }): QueueInfo[] {
  const rows = sql("SELECT * FROM queue ORDER BY name").all() as QueueRow[];
  return rows.map(({ name, paused, processed, failed, ...counts }) => {
    const next = sql("SELECT since_ms FROM task WHERE queue = ? AND state = 'pending' ORDER BY rank LIMIT 1").get(name);
    return {
      name,
      paused: paused === 1,
      counts: { ...counts, aggregating: 0 },
      processed,
      failed,
      latencyMs: next === undefined ? 0 : Math.max(0, nowMs - (next as { since_ms: number }).since_ms),
    };
  });
}

const columns = "queue, id, state, rank, crashes, failure, result, message";

export function find(sql: Sql, { refs }: { readonly refs: readonly TaskRef[] }): (InfoRow | undefined)[] {
  const one = sql(`SELECT ${columns} FROM task WHERE queue = ? AND id = ?`);
  return refs.map(({ queue, id }) => one.get(queue, id) as InfoRow | undefined);
}

export interface ListCall {
  readonly queue: string;
  readonly state: string;
  readonly limit: number;
  /** A `next` of this function. */
  readonly cursor: string | undefined;
}

/** By rank, and by id where ranks are equal; `next` is the last row's rank and id. */
export function list(sql: Sql, { queue, state, limit, cursor }: ListCall): Page<InfoRow> {
  const [, rank, id] = /^(-?\d+) (.*)$/s.exec(cursor ?? "") ?? [];
  const items = sql(
    `SELECT ${columns} FROM task WHERE queue = ? AND state = ? AND (rank, id) > (?, ?) ORDER BY rank, id LIMIT ?`,
  ).all(queue, state, rank === undefined ? Number.MIN_SAFE_INTEGER : Number(rank), id ?? "", limit) as InfoRow[];
  const last = items.at(-1);
  return { items, next: last === undefined || items.length < limit ? undefined : `${last.rank} ${last.id}` };
}
