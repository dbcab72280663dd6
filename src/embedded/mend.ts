import { lastTimeMs } from "../core/duration.js";
import type { Sql } from "./sql.js";

/** Every column of whole numbers. */
const numbers: Readonly<Record<string, readonly string[]>> = {
  task: ["rank", "since_ms", "crashes", "returns", "at_most_once", "redrives"],
  queue: "paused pending active scheduled retry archived completed processed failed paused_ms".split(" "),
  day: ["day", "processed", "failed"],
  unique_lock: ["until_ms"],
  finished: ["minute"],
  request: ["at_ms"],
  act: ["number", "at_ms", "count"],
  worker: ["until_ms"],
  evicted: ["count"],
  outcome_count: ["count"],
  redriven: ["by_ms", "ended_ms", "round"],
  trash: ["until_s", "lock_ms"],
  failure_group: ["members"],
};

/** A row was found that is not called what it says. */
export class Unnamed extends Error {
  constructor() {
    super("an id holds a NUL, at which the SQLite library cuts it");
  }
}

/** For a statement on one row that has just been read. @throws what makes the store mend its rows, and try again */
export function mustBeThere({ changes }: { readonly changes: number | bigint }): void {
  if (Number(changes) === 0) throw new Unnamed();
}

/**
 * Another program wrote what cannot be read or named: a number that JavaScript cannot tell, for which the driver throws
 * (without a code, here and there), or an id with a NUL.
 */
export const isMendable = (error: unknown): boolean =>
  error instanceof Unnamed ||
  (error instanceof Error && error.message.includes("too large to be represented as a JavaScript number"));

/**
 * Brings what no number tells to the last one that makes sense, a time or not, with room for what is added to it; an id
 * with a NUL is told in hex. Looks at every row, which is once in the life of a file, if at all: looking with each read
 * would cost all others.
 */
export function mendRows(sql: Sql): void {
  for (const [table, columns] of Object.entries(numbers)) {
    for (const column of columns) {
      sql(
        `UPDATE OR REPLACE ${table} SET ${column} = max(${-lastTimeMs}, min(${column}, ${lastTimeMs})) WHERE ${column} NOT BETWEEN ${-lastTimeMs} AND ${lastTimeMs}`,
      ).run();
    }
  }
  sql("UPDATE OR IGNORE task SET id = 'hex:' || hex(id) WHERE instr(id, char(0)) > 0").run();
}
