import type { Sql } from "./sql.js";
import { type StoredState, storedStates } from "./tally.js";

/** Of each state so many rows are looked at, from both ends of its line: what is old may be larger than what is new. */
const sampled = 20;
/** What a row costs beyond its texts and bytes: numbers, headers, and its places in indexes. */
const rowBytes = 100;

/** Bytes that the tasks of each queue take, from a sample of their sizes. */
export function sizes(sql: Sql, { queues }: { readonly queues: readonly string[] }): number[] {
  return queues.map((queue) => {
    const counts = sql("SELECT * FROM queue WHERE name = ?").get(queue) as Record<StoredState, number> | undefined;
    if (counts === undefined) return 0;
    return storedStates.reduce((sum, state) => sum + Math.round(counts[state] * meanBytes(sql, queue, state)), 0);
  });
}

function meanBytes(sql: Sql, queue: string, state: StoredState): number {
  const ofSome = (order: "ASC" | "DESC") =>
    sql(
      // The name of the queue, and the id twice: in the table, and in the index by rank.
      "SELECT length(message) + coalesce(length(result), 0) + coalesce(length(failure), 0) + 2 * (length(queue) + length(id)) AS bytes " +
        `FROM task WHERE queue = ? AND state = ? ORDER BY rank ${order}, id ${order} LIMIT ${sampled}`,
    ).all(queue, state) as { bytes: number }[];
  const all = [...ofSome("ASC"), ...ofSome("DESC")];
  return all.length === 0 ? 0 : all.reduce((sum, { bytes }) => sum + storedBytes(rowBytes + bytes), 0) / all.length;
}

/**
 * A row that does not fit into a quarter of a page is continued on pages of its own, the last of them filled or not
 * (sqlite.org/fileformat2.html, "Cell Payload Overflow Pages", with SQLite's pages of 4,096 bytes).
 */
function storedBytes(bytes: number): number {
  return bytes <= 1_002 ? bytes : 489 + Math.ceil((bytes - 489) / 4_092) * 4_096;
}

/** What SQLite says of itself and of the file. */
export function storage(sql: Sql, _args: object): Record<string, string> {
  const value = (text: string) => String(Object.values(sql(text).get() as object)[0]);
  const [pages, pageBytes] = [value("PRAGMA page_count"), value("PRAGMA page_size")];
  return {
    sqlite_version: value("SELECT sqlite_version()"),
    schema_version: value("PRAGMA user_version"),
    journal_mode: value("PRAGMA journal_mode"),
    page_count: pages,
    page_size: pageBytes,
    freelist_count: value("PRAGMA freelist_count"),
    bytes: String(Number(pages) * Number(pageBytes)),
  };
}
