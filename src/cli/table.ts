import ansis from "ansis";
import { printable } from "../core/printable.js";
import { columns as terminalColumns, startOf, widthOf } from "./terminal.js";

export interface Column<R> {
  readonly head: string;
  /** Text from anywhere: it is made safe here. */
  readonly cell: (row: R) => string;
  /** Said shorter, for all rows, where the table would be too wide. */
  readonly short?: (row: R) => string;
  readonly align?: "right";
  /** Where it must be, its cells are cut to this many columns; without it they are never cut. */
  readonly min?: number;
  /** Left out where even that does not help, the highest rank first; without one it stays. */
  readonly rank?: number;
  /** A colour for its cells. */
  readonly style?: (text: string, row: R) => string;
}

const gap = 2;

/**
 * Rows in columns that fit the terminal: numbers are said shorter, then texts are cut, then columns are left out. Where
 * there is no terminal nothing is cut: programs and files take all of it.
 */
export function table<R>(all: readonly Column<R>[], rows: readonly R[], width = terminalColumns()): string[] {
  const { columns, cells, widths } = fitted(all, rows, width);
  const line = (texts: readonly string[], style: (text: string, column: number) => string) => {
    const padded = texts.map((text, i) => {
      const room = " ".repeat(Math.max(0, widths[i]! - widthOf(text)));
      const styled = style(text, i);
      if (columns[i]!.align === "right") return room + styled;
      return i === texts.length - 1 ? styled : styled + room;
    });
    return padded.join(" ".repeat(gap)).trimEnd();
  };
  const head = line(
    columns.map(({ head: text }) => text),
    (text) => ansis.dim(text),
  );
  return [head, ...rows.map((row, r) => line(cells[r]!, (text, i) => columns[i]!.style?.(text, row) ?? text))];
}

interface Fitted<R> {
  readonly columns: readonly Column<R>[];
  readonly cells: readonly (readonly string[])[];
  readonly widths: readonly number[];
}

function fitted<R>(all: readonly Column<R>[], rows: readonly R[], width: number): Fitted<R> {
  let columns = all;
  for (;;) {
    for (const short of [false, true]) {
      const texts = rows.map((row) => columns.map((column) => textOf(column, row, short)));
      const natural = columns.map(({ head }, i) =>
        texts.reduce((most, cells) => Math.max(most, widthOf(cells[i]!)), widthOf(head)),
      );
      const widths = shrunk(columns, natural, width);
      const fits = widths.reduce((sum, one) => sum + one + gap, -gap) <= width;
      // Numbers are said in full only where no text has to be cut for them.
      if (fits && (short || widths.every((one, i) => one === natural[i])))
        return { columns, widths, cells: cut(texts, widths) };
      if (short && !columns.some(({ rank }) => rank !== undefined))
        return { columns, widths, cells: cut(texts, widths) };
    }
    const rank = Math.max(...columns.map((column) => column.rank ?? Number.NEGATIVE_INFINITY));
    columns = columns.filter((column) => column.rank !== rank);
  }
}

const textOf = <R>(column: Column<R>, row: R, short: boolean) =>
  printable(((short ? column.short : undefined) ?? column.cell)(row));

const cut = (texts: readonly (readonly string[])[], widths: readonly number[]) =>
  texts.map((cells) => cells.map((text, i) => startOf(text, widths[i]!)));

/** The widest of the columns that may be cut gives first. */
function shrunk<R>(columns: readonly Column<R>[], natural: readonly number[], width: number): number[] {
  const widths = [...natural];
  let over = widths.reduce((sum, one) => sum + one + gap, -gap) - width;
  while (over > 0) {
    const most = columns.reduce<number | undefined>((best, { min, head }, i) => {
      const spare = min === undefined ? 0 : widths[i]! - Math.max(min, widthOf(head));
      return spare > 0 && (best === undefined || widths[i]! > widths[best]!) ? i : best;
    }, undefined);
    if (most === undefined) break;
    widths[most] = widths[most]! - 1;
    over -= 1;
  }
  return widths;
}
