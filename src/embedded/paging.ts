import type { Page, PageRequest } from "../core/info.js";

/** A page is never longer, whatever is asked for. */
export const maxPage = 1_000;

/** Lists go by rank, and by id where ranks are equal. */
export interface Place {
  readonly rank: number;
  readonly id: string;
}

/** The rows behind a place, or before it, the nearest first. */
export type RowsFrom<R extends Place> = (place: Place, back: boolean, most: number) => R[];

/** What such rows are read by, in SQL, with a place's rank and id and how many as its values. */
export function besideBy(rank: string, back: boolean): string {
  const [than, order] = back ? ["<", "DESC"] : [">", "ASC"];
  return `(${rank}, id) ${than} (?, ?) ORDER BY ${rank} ${order}, id ${order} LIMIT ?`;
}

/** Outside of every list. */
const ends = {
  first: { rank: Number.MIN_SAFE_INTEGER, id: "" },
  last: { rank: Number.MAX_SAFE_INTEGER, id: "" },
};

/** The place a cursor stands for; without one the list's beginning, or its end. */
export function placeOf(cursor: string | undefined, end: keyof typeof ends): Place {
  const [, rank, id] = /^(-?\d+) (.*)$/s.exec(cursor ?? "") ?? [];
  if (rank === undefined) return ends[end];
  return { rank: Math.max(ends.first.rank, Math.min(Number(rank), ends.last.rank)), id: id! };
}

/** A row's rank and id: it holds when that row is gone, too. */
export const cursorAt = ({ rank, id }: Place): string => `${rank} ${id}`;

/** In order, whichever way it is read. */
export function pageOf<R extends Place>(request: PageRequest, rowsFrom: RowsFrom<R>): Page<R> {
  const { cursor, backwards = false, limit } = request;
  const most = Math.max(1, Math.min(limit, maxPage));
  const rows = rowsFrom(placeOf(cursor, backwards ? "last" : "first"), backwards, most);
  const items = backwards ? rows.toReversed() : rows;
  return { items, ...cursorsAround(items[0], items.at(-1), rowsFrom) };
}

/** To what is before the first of some rows and behind the last of them, where there is something. */
export function cursorsAround<R extends Place>(first: R | undefined, last: R | undefined, rowsFrom: RowsFrom<R>) {
  const beyond = (row: R | undefined, back: boolean) =>
    row !== undefined && rowsFrom(row, back, 1).length > 0 ? cursorAt(row) : undefined;
  return { next: beyond(last, false), previous: beyond(first, true) };
}
