import type { SettleReceipt, TaskRef } from "../broker/broker.js";
import { ceilToS, floorToS } from "../core/duration.js";
import { rememberFinished } from "./finished.js";
import { historyWithLast, type Told } from "./history.js";
import { Line } from "./line.js";
import { giveBackLock } from "./locks.js";
import type { Sql } from "./sql.js";
import type { Tally } from "./tally.js";

/** A Settlement as the store needs it: where the task goes, and what is then to be kept of it. */
export interface SettleRow extends TaskRef {
  readonly token: string;
  readonly to: "gone" | "completed" | "retry" | "archived" | "pending";
  /** When it is due (retry) or expires (completed), Unix ms; else 0. */
  readonly dueMs: number;
  /** A failure that counts; also when the task goes to `archived`. */
  readonly failed: boolean;
  /** Released, and as if it had not been leased. */
  readonly unstarted: boolean;
  /** The lock to give back, "" for none. */
  readonly uniqueKey: string;
  /** JSON of a Failure. */
  readonly failure: string | undefined;
  readonly result: Uint8Array | undefined;
}

/** `messages[i]` is what is to be stored for `rows[i]`; `undefined`: leave it as it is. */
export function settle(
  sql: Sql,
  rows: readonly SettleRow[],
  messages: readonly (Uint8Array | undefined)[],
  nowMs: number,
  tally: Tally,
): SettleReceipt[] {
  const gone: TaskRef[] = [];
  const places = placesInFront(sql, rows);
  const receipts = rows.map((row, index): SettleReceipt => {
    if (!move(sql, row, messages[index], places, nowMs)) return "leaseLost";
    if (row.to === "gone") gone.push(row);
    if (row.to === "gone" || row.to === "completed") giveBackLock(sql, row.uniqueKey, row.id);
    tally.moved(row.queue, "active", row.to === "gone" ? undefined : row.to);
    if (row.failed || row.to === "gone" || row.to === "completed") tally.processed(row.queue, row.failed);
    return "settled";
  });
  rememberFinished(sql, gone, nowMs);
  return receipts;
}

/** False when the lease is not held any more: the token is the fence, and it is in every statement. */
function move(
  sql: Sql,
  row: SettleRow,
  message: Uint8Array | undefined,
  places: Map<string, number>,
  nowMs: number,
): boolean {
  const held = [row.queue, row.id, row.token] as const;
  switch (row.to) {
    case "gone":
      return done(sql("DELETE FROM task WHERE queue = ? AND id = ? AND token = ?").run(...held));
    case "pending": {
      const place = places.get(row.queue)!;
      places.set(row.queue, place + 1);
      return done(
        sql(
          "UPDATE task SET state = 'pending', token = NULL, progress = NULL, rank = ?, since_ms = ?, returns = returns + ? WHERE queue = ? AND id = ? AND token = ?",
        ).run(place, nowMs, row.unstarted ? 0 : 1, ...held),
      );
    }
    case "completed":
    case "retry":
    case "archived": {
      const rank = row.to === "archived" ? floorToS(nowMs) : ceilToS(row.dueMs);
      const returned = row.to === "retry" && !row.failed ? 1 : 0;
      const history = row.failure === undefined ? null : earlier(sql, row, row.failure, returned === 1);
      return done(
        sql(
          "UPDATE task SET state = ?, token = NULL, cancel = NULL, progress = NULL, rank = ?, returns = returns + ?, history = ?, failure = ?, result = ?, message = coalesce(?, message) WHERE queue = ? AND id = ? AND token = ?",
        ).run(row.to, rank, returned, history, row.failure ?? null, row.result ?? null, message ?? null, ...held),
      );
    }
  }
  row.to satisfies never;
}

function earlier(sql: Sql, { queue, id, token }: SettleRow, failure: string, givenBack: boolean): string | null {
  const told = sql("SELECT failure, history FROM task WHERE queue = ? AND id = ? AND token = ?").get(queue, id, token);
  return told === undefined ? null : historyWithLast(told as Told, failure, givenBack);
}

/** Tasks that are given back stand before all others, in the order in which they come. */
function placesInFront(sql: Sql, rows: readonly SettleRow[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const row of rows) if (row.to === "pending") counts.set(row.queue, (counts.get(row.queue) ?? 0) + 1);
  const line = new Line(sql);
  return new Map([...counts].map(([queue, count]) => [queue, line.before(queue, count)]));
}

const done = (ran: { readonly changes: number | bigint }) => Number(ran.changes) > 0;
