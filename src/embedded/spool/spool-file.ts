import { randomBytes } from "node:crypto";
import { statSync } from "node:fs";
import type { SpoolOutcome } from "../../broker/spool.js";
import type { EncryptionKeys } from "../../core/encryption-key.js";
import { HoldfastError } from "../../core/errors.js";
import { openDatabase } from "../database-file.js";
import type { Database, Driver } from "../driver.js";
import { preparedOnce, type Sql } from "../sql.js";
import { damaged } from "../sqlite-error.js";
import { pragma, schemaOf } from "../tables.js";
import { inTransaction, whileBusy } from "../transaction.js";
import { checksum, encryption, keyIdOf, SealBroken, sealedBytes, type Sealer } from "../../core/seal.js";
import { spoolTables } from "./spool-schema.js";

/**
 * SQLite's integers are larger than our numbers: where a damaged row has such a one, the row can be read all the same.
 * ORDER BY names the table, or it would sort by what is made here.
 */
const asNumber = (column: string) => `CAST(${column} AS REAL) AS ${column}`;
const taskColumns = `${asNumber("sequence")}, id, ${asNumber("at_ms")}, record`;

const what = "the spool's file";

/** What a task costs beside its record: an estimate, so that a bound in bytes bounds empty tasks, too. */
const rowBytes = 128;

export interface StoredTask {
  readonly sequence: number;
  readonly id: string;
  readonly atMs: number;
  readonly record: Uint8Array;
}

export interface ParkedTask extends StoredTask {
  readonly problem: string;
  readonly parkedAtMs: number;
}

export interface ListedRow {
  readonly sequence: number;
  readonly id: string;
  readonly atMs: number;
  readonly problem: string | null;
  readonly parkedAtMs: number | null;
}

/** A file was sealed with a key that is not among those given. */
export class UnknownKey extends Error {
  override readonly name = "UnknownKey";

  constructor(keyId: string, keys: EncryptionKeys) {
    const given =
      keys.length === 0 ? "and none is given" : `which is not among those given (${keys.map(keyIdOf).join(", ")})`;
    super(
      `tasks of a process that died were sealed with the key ${keyId}, ${given}; nothing was changed: ` +
        "give that key, too ({ active, keys }), or use another directory",
    );
  }
}

/** One spool's file: its rows, each sealed to its place. All synchronous, and no transactions but the caller's. */
export class SpoolFile {
  readonly database: Database;
  readonly #sql: Sql;
  readonly #id: Uint8Array;
  readonly #sealer: Sealer;
  /** Undefined where records are in clear. */
  readonly keyId: string | undefined;
  /** Where it is not given, no record can be opened: each throws this. */
  readonly unknownKey: UnknownKey | undefined;

  private constructor(database: Database, { id, key_id: keyId }: Identity, keys: EncryptionKeys) {
    if (!(id instanceof Uint8Array)) throw damaged(what, "its id cannot be read");
    this.database = database;
    this.#sql = preparedOnce(database);
    this.#id = id;
    this.keyId = keyId ?? undefined;
    const key = keys.find((one) => keyIdOf(one) === keyId);
    this.unknownKey = keyId === null || key !== undefined ? undefined : new UnknownKey(keyId, keys);
    if (key !== undefined) this.#sealer = encryption(key, id, "spool");
    else this.#sealer = this.unknownKey === undefined ? checksum : closed(this.unknownKey);
  }

  /** A new one, sealed with the first of the keys. @throws when somebody else has been there, and chosen otherwise */
  static create(driver: Driver, path: string, keys: EncryptionKeys): SpoolFile {
    const file = SpoolFile.open(driver, path, keys);
    if (file.keyId === activeId(keys)) return file;
    file.close();
    throw new HoldfastError("BROKER_FAILED", { broker: what, problem: "another process wrote into the new file" });
  }

  /** One that is there says itself which of the keys is its; without that all but the records can be seen. */
  static open(driver: Driver, path: string, keys: EncryptionKeys): SpoolFile {
    return SpoolFile.#on(openDatabase(driver, path, spoolTables, what), keys);
  }

  /** One of which is known that it is damaged: what can be read of it may be read. */
  static openDamaged(driver: Driver, path: string, keys: EncryptionKeys): SpoolFile {
    const database = driver(path, { defensive: false });
    // Or SQLite reads nothing at all of a file that is shorter than its first page says.
    database.exec("PRAGMA writable_schema = ON");
    return SpoolFile.#on(database, keys);
  }

  /** A living process's, of which nothing is changed; undefined while that process has not made it. */
  static openToLook(driver: Driver, path: string, keys: EncryptionKeys): SpoolFile | undefined {
    if ((statSync(path, { throwIfNoEntry: false })?.size ?? 0) === 0) return undefined;
    return SpoolFile.#reading(driver(path, { readOnly: true }), (database) => {
      const found = whileBusy(() => (schemaOf(database, spoolTables, what) === 0 ? undefined : identity(database)));
      if (found !== undefined) return new SpoolFile(database, found, keys);
      database.close();
      return undefined;
    });
  }

  static #on(database: Database, keys: EncryptionKeys): SpoolFile {
    return SpoolFile.#reading(
      database,
      () =>
        new SpoolFile(
          database,
          inTransaction(database, () => identity(database) ?? newIdentity(database, keys)),
          keys,
        ),
    );
  }

  static #reading<T>(database: Database, read: (database: Database) => T): T {
    try {
      return read(database);
    } catch (error) {
      database.close();
      throw error;
    }
  }

  /** What a task is counted with. */
  static bytesOf(record: Uint8Array): number {
    return record.length + rowBytes;
  }

  append({ sequence, id, atMs, record }: StoredTask): void {
    const sealed = this.#sealer.seal(record, { file: this.#id, sequence, id, atMs });
    this.#sql("INSERT INTO task (sequence, id, at_ms, record) VALUES (?, ?, ?, ?)").run(sequence, id, atMs, sealed);
  }

  /** @throws SealBroken for a record that is not as it was written */
  tasks(after: number, limit: number): StoredTask[] {
    const rows = this.#sql(`SELECT ${taskColumns} FROM task WHERE sequence > ? ORDER BY task.sequence LIMIT ?`).all(
      after,
      limit,
    ) as TaskRow[];
    return rows.map((row) => this.#opened(row));
  }

  /** How many of the next `limit` are within so many bytes; at least one. */
  within(bytes: number, after: number, limit: number): number {
    const rows = this.#sql(
      "SELECT length(record) AS bytes FROM task WHERE sequence > ? ORDER BY task.sequence LIMIT ?",
    ).all(after, limit) as { bytes: number }[];
    let sum = 0;
    const over = rows.findIndex((row) => (sum += row.bytes) > bytes);
    return over < 0 ? limit : Math.max(1, over);
  }

  /** The first after that sequence. @throws SealBroken */
  taskAfter(sequence: number): StoredTask | undefined {
    return this.tasks(sequence, 1)[0];
  }

  parkedAfter(sequence: number): ParkedTask | undefined {
    const row = this.#sql(
      `SELECT ${taskColumns}, problem, ${asNumber("parked_ms")} FROM parked WHERE sequence > ? ORDER BY parked.sequence LIMIT 1`,
    ).get(sequence) as ParkedRow | undefined;
    if (row === undefined) return undefined;
    const { problem, parked_ms: parkedAtMs } = row;
    if (typeof problem !== "string" || !Number.isSafeInteger(parkedAtMs)) throw new SealBroken(row);
    return { ...this.#opened(row), problem, parkedAtMs };
  }

  /** The last sequence there is; undefined where that cannot be read. */
  last(table: "task" | "parked"): number | undefined {
    try {
      const { last } = this.#sql(`SELECT max(sequence) AS last FROM ${table}`).get() as { last: number | null };
      return last ?? 0;
    } catch {
      return undefined; // Damaged just there: what comes before is read all the same.
    }
  }

  removeUpTo(sequence: number, table: "task" | "parked"): void {
    this.#sql(`DELETE FROM ${table} WHERE sequence <= ?`).run(sequence);
  }

  /** Answers its id, and the bytes that it was counted with. */
  remove(sequence: number): { id: string; bytes: number } | undefined {
    const row = this.#sql("DELETE FROM task WHERE sequence = ? RETURNING id, length(record) AS bytes").get(sequence) as
      | { id: string; bytes: number }
      | undefined;
    return row && { id: row.id, bytes: row.bytes - this.#sealer.bytes + rowBytes };
  }

  /** A copy out of the others' way; answers whether it was there. */
  park(sequence: number, problem: string, nowMs: number): boolean {
    const { changes } = this.#sql(
      "INSERT INTO parked (sequence, id, at_ms, record, problem, parked_ms) SELECT sequence, id, at_ms, record, ?, ? FROM task WHERE sequence = ?",
    ).run(problem, nowMs, sequence);
    return Number(changes) > 0;
  }

  /** One that was parked in another file. */
  appendParked({ sequence, id, atMs, record, problem, parkedAtMs }: ParkedTask): void {
    this.#sql("INSERT INTO parked (sequence, id, at_ms, record, problem, parked_ms) VALUES (?, ?, ?, ?, ?, ?)").run(
      sequence,
      id,
      atMs,
      this.#sealer.seal(record, { file: this.#id, sequence, id, atMs }),
      problem,
      parkedAtMs,
    );
  }

  /** Without opening the records; those that are parked behind the others. */
  listed(after: number, limit: number): ListedRow[] {
    return this.#sql(
      `SELECT ${asNumber("sequence")}, id, CAST(at_ms AS REAL) AS atMs, NULL AS problem, NULL AS parkedAtMs FROM task WHERE sequence > ?1
       UNION ALL SELECT sequence, id, CAST(at_ms AS REAL), problem, CAST(parked_ms AS REAL) FROM parked WHERE sequence > ?1
       ORDER BY sequence LIMIT ?2`,
    ).all(after, limit) as ListedRow[];
  }

  /** Reads all of it: for who does not count as it is written. */
  count(): { readonly tasks: number; readonly bytes: number; readonly parked: number } {
    const { tasks, bytes, parked } = this.#sql(
      "SELECT count(*) AS tasks, coalesce(sum(length(record)), 0) AS bytes, (SELECT count(*) FROM parked) AS parked FROM task",
    ).get() as { tasks: number; bytes: number; parked: number };
    return { tasks, bytes: bytes + tasks * (rowBytes - this.#sealer.bytes), parked };
  }

  ended(id: string, outcome: SpoolOutcome, nowMs: number): void {
    this.#sql("INSERT OR REPLACE INTO outcome (id, outcome, ended_ms) VALUES (?, ?, ?)").run(
      id,
      JSON.stringify(outcome),
      nowMs,
    );
  }

  /** `spooled` while it is here. */
  outcome(id: string): SpoolOutcome | undefined {
    if (this.#sql("SELECT 1 FROM task WHERE id = ? LIMIT 1").get(id) !== undefined) return { status: "spooled", id };
    const row = this.#sql("SELECT outcome FROM outcome WHERE id = ?").get(id) as { outcome: string } | undefined;
    return row && (JSON.parse(row.outcome) as SpoolOutcome);
  }

  /** At most `limit` of those that ended before that time; answers how many. */
  forget(beforeMs: number, limit: number): number {
    const { changes } = this.#sql(
      "DELETE FROM outcome WHERE id IN (SELECT id FROM outcome WHERE ended_ms < ? ORDER BY ended_ms LIMIT ?)",
    ).run(beforeMs, limit);
    return Number(changes);
  }

  oldestAtMs(): number | undefined {
    const { oldest } = this.#sql("SELECT min(at_ms) AS oldest FROM task").get() as { oldest: number | null };
    return oldest ?? undefined;
  }

  /** Brings what the write-ahead log has into the file itself; answers how many frames of the log could be read. */
  checkpoint(): number {
    const { log } = this.database.prepare("PRAGMA wal_checkpoint(PASSIVE)").get() as { log: number };
    return Math.max(0, log);
  }

  /** Its size. */
  bytes(): number {
    return Number(pragma(this.database, "page_count")) * Number(pragma(this.database, "page_size"));
  }

  /** When the file has become larger than that, it is written anew, which is quick while it holds little. */
  shrink(bytes: number): void {
    if (this.bytes() <= bytes) return;
    this.database.exec("VACUUM");
    this.database.exec("PRAGMA wal_checkpoint(TRUNCATE)");
  }

  close(): void {
    this.database.close();
  }

  /** Where a page is damaged, anything may stand anywhere. */
  #opened({ sequence, id, at_ms: atMs, record }: TaskRow): StoredTask {
    const place = { file: this.#id, sequence, id, atMs };
    if (typeof id !== "string" || !Number.isSafeInteger(atMs) || !(record instanceof Uint8Array)) {
      throw new SealBroken(place);
    }
    return { sequence, id, atMs, record: this.#sealer.open(record, place) };
  }
}

interface TaskRow {
  readonly sequence: number;
  readonly id: string;
  readonly at_ms: number;
  readonly record: Uint8Array;
}

interface ParkedRow extends TaskRow {
  readonly problem: string;
  readonly parked_ms: number;
}

interface Identity {
  readonly id: Uint8Array;
  readonly key_id: string | null;
}

function identity(database: Database): Identity | undefined {
  return database.prepare("SELECT id, key_id FROM file").get() as Identity | undefined;
}

function newIdentity(database: Database, keys: EncryptionKeys): Identity {
  const made = { id: randomBytes(16), key_id: activeId(keys) ?? null };
  database.prepare("INSERT INTO file (id, key_id) VALUES (?, ?)").run(made.id, made.key_id);
  return made;
}

const activeId = ([active]: EncryptionKeys) => active && keyIdOf(active);

const closed = (unknownKey: UnknownKey): Sealer => ({
  bytes: sealedBytes,
  seal: (record) => record,
  open() {
    throw unknownKey;
  },
});
