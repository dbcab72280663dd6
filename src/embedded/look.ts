import type { TaskRef } from "../broker/broker.js";
import type { Page, PageRequest, QueueInfo } from "../core/info.js";
import { decodeMessage } from "../core/codec.js";
import { lastTimeMs } from "../core/duration.js";
import { readable } from "../core/protobuf.js";
import { Unnamed } from "./mend.js";
import { besideBy, cursorsAround, maxPage, type Place, placeOf } from "./paging.js";
import type { Sql } from "./sql.js";
import type { StoredState } from "./tally.js";

export interface InfoRow extends TaskRef {
  readonly state: StoredState;
  readonly rank: number;
  readonly crashes: number;
  readonly failure: string | null;
  /** Read with one task, not with a list. */
  readonly history?: string | null;
  readonly result: Uint8Array | null;
  readonly progress: string | null;
  readonly message: Uint8Array;
  readonly ack: string | null;
  readonly restored: string | null;
  readonly copies: string | null;
  readonly quarantine: string | null;
}

type QueueRow = Record<StoredState | "paused" | "processed" | "failed", number> & {
  readonly name: string;
  readonly paused_ms: number | null;
  readonly pause_actor: string | null;
  readonly pause_reason: string | null;
};

export interface QueuesCall {
  readonly nowMs: number;
  readonly names?: readonly string[] | undefined;
}

export function queues(sql: Sql, { nowMs, names }: QueuesCall): QueueInfo[] {
  const rows = (
    names === undefined
      ? sql("SELECT * FROM queue ORDER BY name").all()
      : sql("SELECT * FROM queue WHERE name IN (SELECT value FROM json_each(?)) ORDER BY name").all(
          JSON.stringify(names),
        )
  ) as QueueRow[];
  return rows.map((row) => {
    // Another program may have written tasks without counting them.
    const count = (counter: StoredState | "processed" | "failed") => Math.max(0, row[counter]);
    const earliestAtMs = earliest(sql, row);
    return {
      name: row.name,
      paused: row.paused !== 0,
      pause: pauseOf(row),
      counts: {
        pending: count("pending"),
        active: count("active"),
        scheduled: count("scheduled"),
        retry: count("retry"),
        archived: count("archived"),
        completed: count("completed"),
        aggregating: 0,
      },
      processed: count("processed"),
      failed: count("failed"),
      latencyMs: earliestAtMs.pending === undefined ? 0 : Math.max(0, nowMs - earliestAtMs.pending),
      earliestAtMs,
    };
  });
}

/** Nothing is known of a pause that another program wrote into the file. */
function pauseOf({ paused_ms: atMs, pause_actor: actor, pause_reason: reason }: QueueRow): QueueInfo["pause"] {
  return atMs === null ? undefined : { atMs: timeOf(atMs), actor: actor ?? "", reason: reason ?? "" };
}

/** Of what anybody may have written, a time that a Date can tell. */
export const timeOf = (ms: number): number => Math.max(-lastTimeMs, Math.min(ms, lastTimeMs));

const timed = ["active", "scheduled", "retry", "archived", "completed"] as const;

/** Of a line it is the time since when its first task waits, for that is the next to run. */
function earliest(sql: Sql, queue: QueueRow): { [State in StoredState]?: number } {
  const found: { [State in StoredState]?: number } = {};
  if (queue.pending > 0) {
    const next = sql("SELECT since_ms FROM task WHERE queue = ? AND state = 'pending' ORDER BY rank LIMIT 1");
    const first = next.get(queue.name) as { since_ms: number } | undefined;
    if (first !== undefined) found.pending = timeOf(first.since_ms);
  }
  for (const state of timed) {
    if (queue[state] === 0) continue;
    const first = sql("SELECT min(rank) AS rank FROM task WHERE queue = ? AND state = ?").get(queue.name, state);
    const { rank } = first as { rank: number | null };
    if (rank !== null) found[state] = timeOf(rank * 1_000);
  }
  return found;
}

export const infoColumns =
  "queue, id, state, rank, crashes, failure, result, progress, message, ack, restored, copies, quarantine";

export function find(sql: Sql, { refs }: { readonly refs: readonly TaskRef[] }): (InfoRow | undefined)[] {
  const one = sql(`SELECT ${infoColumns}, history FROM task WHERE queue = ? AND id = ?`);
  return refs.map(({ queue, id }) => one.get(queue, id) as InfoRow | undefined);
}

export interface ListCall {
  readonly queue: string;
  readonly state: string;
  readonly type: string | undefined;
  readonly page: PageRequest;
}

/** How far is looked for a type before the page ends, full or not. */
const maxScanned = 5_000;

export function list(sql: Sql, { queue, state, type, page }: ListCall): Page<InfoRow> {
  const { cursor, backwards = false } = page;
  const limit = Math.min(page.limit, maxPage);
  const rowsFrom = (place: Place, back: boolean, count: number) => rowsBeside(sql, queue, state, place, back, count);
  const items: InfoRow[] = [];
  let first: InfoRow | undefined;
  let last: InfoRow | undefined;
  for (let scanned = 0; scanned < maxScanned && items.length < limit;) {
    const place: Place = last ?? placeOf(cursor, backwards ? "last" : "first");
    const rows = rowsFrom(place, backwards, type === undefined ? limit : scanRows);
    if (rows.length === 0) break;
    for (const row of rows) {
      first ??= row;
      last = row;
      if (type === undefined || readable(decodeMessage, row.message)?.type === type) items.push(row);
      if (items.length === limit) break;
    }
    scanned += rows.length;
  }
  if (backwards) [first, last] = [last, first];
  return { items: backwards ? items.toReversed() : items, ...cursorsAround(first, last, rowsFrom) };
}

/** How many are read at a time where a type is looked for. */
const scanRows = 200;

function rowsBeside(
  sql: Sql,
  queue: string,
  state: string,
  { rank, id }: Place,
  backwards: boolean,
  limit: number,
): InfoRow[] {
  const rows = sql(`SELECT ${infoColumns} FROM task WHERE queue = ? AND state = ? AND ${besideBy("rank", backwards)}`);
  const found = rows.all(queue, state, rank, id, limit) as InfoRow[];
  if (found[0]?.rank === rank && found[0].id === id) throw new Unnamed();
  return found;
}
