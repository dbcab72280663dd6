import type { LettersFrom, OldestLetter } from "../../broker/letter-marks.js";
import { standingMark } from "../../broker/stored-marks.js";
import { besideBy, cursorAt, type Place, placeOf } from "../paging.js";
import type { Sql } from "../sql.js";

export interface OldestCall {
  readonly from: readonly LettersFrom[];
  readonly limit: number;
}

interface Row {
  readonly id: string;
  readonly rank: number;
  readonly ack: string | null;
}

export function oldestUnacknowledged(sql: Sql, { from, limit }: OldestCall): OldestLetter[] {
  const behind = sql(
    `SELECT id, rank, ack FROM task WHERE queue = ? AND state = 'archived' AND ${besideBy("rank", false)}`,
  );
  return from.map(({ queue, place }) => {
    const at = placeOf(place, "first");
    const rows = behind.all(queue, at.rank, at.id, limit) as Row[];
    const found = rows.findIndex(({ rank, ack }) => standingMark(ack, rank * 1_000) === undefined);
    const last = found === -1 ? rows.at(-1) : rows[found - 1];
    const isPassed = last !== undefined || place !== undefined;
    return {
      atMs: found === -1 ? undefined : rows[found]!.rank * 1_000,
      count: isPassed ? countBehind(sql, queue, last ?? at) : countOf(sql, queue),
      more: found === -1 && rows.length === limit,
      place: last === undefined ? place : cursorAt(last),
    };
  });
}

/** Beyond so many it is told of all: to count costs time. */
const countsMost = 2_000;

function countBehind(sql: Sql, queue: string, { rank, id }: Place): number {
  const some = sql(`SELECT 1 FROM task WHERE queue = ? AND state = 'archived' AND ${besideBy("rank", false)}`);
  const { length } = some.all(queue, rank, id, countsMost);
  return length < countsMost ? length : countOf(sql, queue);
}

function countOf(sql: Sql, queue: string): number {
  const row = sql("SELECT archived FROM queue WHERE name = ?").get(queue) as { archived: number } | undefined;
  return Math.max(0, row?.archived ?? 0);
}
