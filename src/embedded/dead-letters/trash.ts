import type { Act } from "../../broker/roles.js";
import { markText, storedMark } from "../../broker/stored-marks.js";
import type { DiscardReceipt, DiscardedTask, PurgeReceipt, RestoreReceipt } from "../../broker/trash.js";
import { decodeMessage } from "../../core/codec.js";
import { ceilToS, floorToS } from "../../core/duration.js";
import type { Page, PageRequest } from "../../core/info.js";
import { readable } from "../../core/protobuf.js";
import { storedJson } from "../../core/stored-json.js";
import { recordAct } from "../acts.js";
import { giveBackLock, lockHolder, takeLock } from "../locks.js";
import { type InfoRow, timeOf } from "../look.js";
import { mustBeThere } from "../mend.js";
import { besideBy, pageOf, type Place } from "../paging.js";
import type { Sql } from "../sql.js";
import { Tally } from "../tally.js";
import { insertRow, type WholeRow, wholeRow } from "./letters.js";

export interface IdsCall {
  readonly queue: string;
  readonly ids: readonly string[];
  readonly by: Act;
  readonly nowMs: number;
}

interface TrashRow {
  readonly id: string;
  readonly until_s: number;
  /** All columns of the task but the two that hold bytes, JSON. */
  readonly stored: string;
  readonly message: Uint8Array;
  readonly result: Uint8Array | null;
  readonly mark: string;
  /** Until when its unique lock would have held; 0: it had none. */
  readonly lock_ms: number;
}

export function discard(
  sql: Sql,
  { queue, ids, untilMs, by, nowMs }: IdsCall & { readonly untilMs: number },
): DiscardReceipt[] {
  const tally = new Tally();
  const discarded: string[] = [];
  const receipts = ids.map((id): DiscardReceipt => {
    const row = wholeRow(sql, { queue, id });
    if (row === undefined) return "notFound";
    if (row.state !== "archived") return "wrongState";
    if (trashed(sql, queue, id) !== undefined) return "idTaken";
    const { message, ["result"]: result, ...rest } = row;
    const lockMs = giveBackLock(sql, readable(decodeMessage, message)?.uniqueKey ?? "", id) ?? 0;
    sql(
      "INSERT INTO trash (queue, id, until_s, stored, message, result, mark, lock_ms) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
    ).run(queue, id, ceilToS(untilMs), JSON.stringify(rest), message, result ?? null, markText(by, nowMs), lockMs);
    mustBeThere(sql("DELETE FROM task WHERE queue = ? AND id = ?").run(queue, id));
    tally.moved(queue, "archived", undefined);
    discarded.push(id);
    return "discarded";
  });
  tally.write(sql, nowMs);
  tell(sql, queue, "discard", discarded, by, nowMs);
  return receipts;
}

export function restore(sql: Sql, { queue, ids, by, nowMs }: IdsCall): RestoreReceipt[] {
  const tally = new Tally();
  const restored: string[] = [];
  const receipts = ids.map((id): RestoreReceipt => {
    const row = trashed(sql, queue, id);
    if (row === undefined) return "notFound";
    const task = { ...taskIn(queue, row), restored: markText(by, nowMs) };
    if (!insertRow(sql, task)) return "idTaken";
    sql("DELETE FROM trash WHERE queue = ? AND id = ?").run(queue, id);
    tally.moved(queue, undefined, "archived");
    restored.push(id);
    if (row.lock_ms <= nowMs) return "restored";
    const lock = readable(decodeMessage, row.message)?.uniqueKey ?? "";
    if (lockHolder(sql, lock, nowMs) !== undefined) return "withoutLock";
    takeLock(sql, lock, id, row.lock_ms);
    return "restored";
  });
  tally.write(sql, nowMs);
  tell(sql, queue, "restore", restored, by, nowMs);
  return receipts;
}

export function purge(sql: Sql, { queue, ids, by, nowMs }: IdsCall): PurgeReceipt[] {
  const purged: string[] = [];
  const receipts = ids.map((id): PurgeReceipt => {
    const { changes } = sql("DELETE FROM trash WHERE queue = ? AND id = ?").run(queue, id);
    if (Number(changes) === 0) return "notFound";
    purged.push(id);
    return "purged";
  });
  tell(sql, queue, "purge", purged, by, nowMs);
  return receipts;
}

/** A task's row instead of the task, which is made of it by whoever asked. */
export type TrashItem = Omit<DiscardedTask, "task"> & { readonly row: InfoRow };

export function listTrash(
  sql: Sql,
  { queue, page }: { readonly queue: string; readonly page: PageRequest },
): Page<TrashItem> {
  const { items, ...cursors } = pageOf(page, ({ rank, id }, back, most) => {
    const where = `queue = ? AND ${besideBy("until_s", back)}`;
    const rows = sql(`SELECT *, until_s AS rank FROM trash WHERE ${where}`).all(queue, rank, id, most);
    return rows as (TrashRow & Place)[];
  });
  const discarded = items.map((row) => ({
    row: taskIn(queue, row) as unknown as InfoRow,
    discarded: storedMark(row.mark) ?? { atMs: 0, actor: "", reason: "" },
    untilMs: timeOf(row.until_s * 1_000),
  }));
  return { items: discarded, ...cursors };
}

/** What is past its time goes for good. Answers how many. */
export function emptyTrash(sql: Sql, queue: string, limit: number, nowMs: number): number {
  const past = sql("SELECT id FROM trash WHERE queue = ? AND until_s <= ? ORDER BY until_s, id LIMIT ?").all(
    queue,
    floorToS(nowMs),
    limit,
  ) as { id: string }[];
  const ids = past.map(({ id }) => id);
  purge(sql, {
    queue,
    ids,
    by: { actor: "holdfast", reason: "the time to restore them is over", requestId: "" },
    nowMs,
  });
  return ids.length;
}

/** Of a queue that is dropped, `limit` at the most. Answers whether there are none any more. */
export function dropTrash(sql: Sql, queue: string, limit: number): boolean {
  sql(
    "DELETE FROM trash WHERE queue = ? AND id IN (SELECT id FROM trash AS some WHERE some.queue = ? ORDER BY id LIMIT ?)",
  ).run(queue, queue, limit);
  return sql("SELECT 1 FROM trash WHERE queue = ? LIMIT 1").get(queue) === undefined;
}

function trashed(sql: Sql, queue: string, id: string): TrashRow | undefined {
  return sql("SELECT * FROM trash WHERE queue = ? AND id = ?").get(queue, id) as TrashRow | undefined;
}

/** Anyone may have written there: then it is a dead letter of which no more is known than its message. */
function taskIn(queue: string, { id, stored, message, result }: TrashRow): WholeRow {
  const known = storedJson(stored);
  const columns = typeof known === "object" && known !== null ? (known as Partial<WholeRow>) : {};
  const rank = typeof columns.rank === "number" ? columns.rank : 0;
  return { ...columns, queue, id, state: "archived", rank, message, result };
}

function tell(
  sql: Sql,
  queue: string,
  verb: "discard" | "restore" | "purge",
  ids: readonly string[],
  by: Act,
  nowMs: number,
): void {
  if (ids.length > 0) recordAct(sql, queue, { verb, what: ids, count: ids.length }, by, nowMs);
}
