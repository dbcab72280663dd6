import type { LeaseRequest, TaskRef } from "../broker/broker.js";
import { storedJson } from "../core/stored-json.js";
import type { Sql } from "./sql.js";

export interface LeasedRow extends TaskRef {
  readonly untilMs: number;
  readonly crashes: number;
  readonly returns: number;
  readonly atMostOnce: boolean;
}

/** A task whose stored message cannot be decoded, archived instead of leased. */
export interface SetAside extends TaskRef {
  readonly problem: string;
}

export interface Leased {
  readonly leased: LeasedRow[];
  /** `messages[i]` is what is stored of `leased[i]`. */
  readonly messages: Uint8Array[];
  readonly setAside: SetAside[];
  readonly more: boolean;
  readonly dry: string[];
  readonly paused: string[];
}

export const nothingLeased = (): Leased => ({
  leased: [],
  messages: [],
  setAside: [],
  more: false,
  dry: [],
  paused: [],
});

/** How long a request can be repeated. */
const keptMs = 60_000;

/**
 * What the same request got when it was sent before, as far as it is still held, its leases renewed: the answer may have
 * been lost on its way.
 */
export function leasedAgain(sql: Sql, request: LeaseRequest, untilS: number, nowMs: number): Leased | undefined {
  const { workerId, requestId } = request;
  const last = sql("SELECT leased FROM request WHERE worker = ? AND id = ? AND at_ms >= ?");
  const row = last.get(workerId, requestId, nowMs - keptMs) as { leased: string } | undefined;
  if (row === undefined) return undefined;
  const again = nothingLeased();
  const held = sql(
    "UPDATE task SET rank = max(rank, ?) WHERE queue = ? AND id = ? AND token = ? RETURNING rank, crashes, returns, at_most_once, message",
  );
  for (const { queue, id } of refsIn(row.leased)) {
    const task = held.get(untilS, queue, id, requestId) as HeldRow | undefined;
    if (task === undefined) continue;
    const { rank, crashes, returns, at_most_once } = task;
    again.leased.push({
      queue,
      id,
      untilMs: rank * 1_000,
      crashes,
      returns: Math.max(0, returns),
      atMostOnce: at_most_once === 1,
    });
    again.messages.push(task.message);
  }
  return again;
}

/** What no request of ours wrote got nothing. */
function refsIn(text: string): TaskRef[] {
  const pairs = storedJson(text);
  if (!Array.isArray(pairs)) return [];
  return pairs.flatMap((pair: unknown) => {
    const [queue, id] = Array.isArray(pair) ? (pair as unknown[]) : [];
    return typeof queue === "string" && typeof id === "string" ? [{ queue, id }] : [];
  });
}

interface HeldRow {
  readonly rank: number;
  readonly crashes: number;
  readonly returns: number;
  readonly at_most_once: number;
  readonly message: Uint8Array;
}

/** The last request of each worker is kept; what it got, and not how much it asked for, is what a repeat gets. */
export function rememberLeased(sql: Sql, request: LeaseRequest, leased: readonly TaskRef[], nowMs: number): void {
  const refs = JSON.stringify(leased.map(({ queue, id }) => [queue, id]));
  const { workerId, requestId } = request;
  sql("INSERT OR REPLACE INTO request (worker, id, leased, at_ms) VALUES (?, ?, ?, ?)").run(
    workerId,
    requestId,
    refs,
    nowMs,
  );
}

export function sweepRequests(sql: Sql, limit: number, nowMs: number): void {
  sql("DELETE FROM request WHERE worker IN (SELECT worker FROM request WHERE at_ms < ? LIMIT ?)").run(
    nowMs - keptMs,
    limit,
  );
}
