import type { TaskRef } from "../../broker/broker.js";
import type { Act } from "../../broker/roles.js";
import type { AdoptReceipt, StoredLetter } from "../../broker/stored-letter.js";
import { floorToS } from "../../core/duration.js";
import { storedJson } from "../../core/stored-json.js";
import { recordAct } from "../acts.js";
import type { SqlValue } from "../driver.js";
import { timeOf } from "../look.js";
import type { Sql } from "../sql.js";
import { Tally } from "../tally.js";

/** A task's row, whatever columns it has by now. */
export type WholeRow = Readonly<Record<string, SqlValue>> & {
  readonly queue: string;
  readonly id: string;
  readonly state: string;
  readonly rank: number;
  readonly message: Uint8Array;
};

export function wholeRow(sql: Sql, { queue, id }: TaskRef): WholeRow | undefined {
  return sql("SELECT * FROM task WHERE queue = ? AND id = ?").get(queue, id) as WholeRow | undefined;
}

/** What a row has besides its place says nothing of the task elsewhere, or has a part of its own in a letter. */
const left: ReadonlySet<string> = new Set(
  "queue id state rank token since_ms message cancel progress effects fingerprint redrive".split(" "),
);
/** Elsewhere it is called so. */
const namedElsewhere: Readonly<Record<string, string>> = { at_most_once: "once" };
const columnNamed: Readonly<Record<string, string>> = { once: "at_most_once" };
const effect = "effect:";

export function readLetters(sql: Sql, { refs }: { readonly refs: readonly TaskRef[] }): (StoredLetter | undefined)[] {
  return refs.map((ref) => {
    const row = wholeRow(sql, ref);
    return row?.state === "archived" ? letterOf(row) : undefined;
  });
}

function letterOf(row: WholeRow): StoredLetter {
  const fields = new Map<string, Uint8Array>();
  for (const [column, value] of Object.entries(row)) {
    if (left.has(column) || value === null || value === 0) continue;
    fields.set(namedElsewhere[column] ?? column, value instanceof Uint8Array ? value : Buffer.from(String(value)));
  }
  const effects = storedJson(row["effects"] as string | null);
  for (const [key, value] of Array.isArray(effects) ? (effects as [string, string][]) : []) {
    fields.set(`${effect}${key}`, Buffer.from(value));
  }
  const { queue, id, rank, message } = row;
  return { queue, id, archivedAtMs: timeOf(rank * 1_000), message, fields };
}

export interface AdoptCall {
  readonly letters: readonly StoredLetter[];
  readonly by: Act;
  readonly nowMs: number;
}

export function adoptLetters(sql: Sql, { letters, by, nowMs }: AdoptCall): AdoptReceipt[] {
  const tally = new Tally();
  const adopted = new Map<string, string[]>();
  const receipts = letters.map((letter): AdoptReceipt => {
    const { queue, id } = letter;
    if (sql("SELECT 1 FROM trash WHERE queue = ? AND id = ?").get(queue, id) !== undefined) return "exists";
    if (!insertRow(sql, rowOf(letter))) return "exists";
    tally.moved(queue, undefined, "archived");
    if (!adopted.has(queue)) adopted.set(queue, []);
    adopted.get(queue)!.push(id);
    return "adopted";
  });
  tally.write(sql, nowMs);
  for (const [queue, ids] of adopted)
    recordAct(sql, queue, { verb: "import", what: ids, count: ids.length }, by, nowMs);
  return receipts;
}

function rowOf({ queue, id, archivedAtMs, message, fields }: StoredLetter): WholeRow {
  const row: Record<string, SqlValue> = {};
  const effects: [string, string][] = [];
  for (const [name, value] of fields) {
    if (name.startsWith(effect)) effects.push([name.slice(effect.length), String(Buffer.from(value))]);
    else if (!left.has(name)) row[columnNamed[name] ?? name] = value;
  }
  if (effects.length > 0) row["effects"] = JSON.stringify(effects);
  return { ...row, queue, id, state: "archived", rank: floorToS(archivedAtMs), message };
}

/**
 * What the table has a column for, as that column takes it. False where there is such a task.
 */
export function insertRow(sql: Sql, row: WholeRow): boolean {
  const columns = sql("SELECT name, type FROM pragma_table_info('task')").all() as { name: string; type: string }[];
  const given = columns.flatMap(({ name, type }) => {
    const value = Object.hasOwn(row, name) ? asColumn(row[name]!, type) : undefined;
    return value === undefined ? [] : [{ name, value }];
  });
  const names = given.map(({ name }) => name).join(", ");
  const marks = given.map(() => "?").join(", ");
  const { changes } = sql(`INSERT INTO task (${names}) VALUES (${marks}) ON CONFLICT DO NOTHING`).run(
    ...given.map(({ value }) => value),
  );
  return Number(changes) > 0;
}

/** Undefined, and so the column's default, for what it cannot hold. */
function asColumn(value: SqlValue, type: string): SqlValue | undefined {
  if (value === null) return undefined;
  if (type === "BLOB") return value instanceof Uint8Array ? value : undefined;
  const text = value instanceof Uint8Array ? String(Buffer.from(value)) : String(value);
  if (type === "TEXT") return text;
  return Number.isSafeInteger(Number(text)) ? Number(text) : undefined;
}
