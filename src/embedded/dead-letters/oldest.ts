import type { LettersFrom, OldestLetter } from "../../broker/letter-marks.js";
import { standingMark } from "../../broker/stored-marks.js";
import { besideBy, cursorAt, placeOf } from "../paging.js";
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
    return {
      atMs: found === -1 ? undefined : rows[found]!.rank * 1_000,
      more: found === -1 && rows.length === limit,
      place: last === undefined ? place : cursorAt(last),
    };
  });
}
