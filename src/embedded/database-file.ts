import { closeSync, openSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { HoldfastError } from "../core/errors.js";
import type { Database, Driver } from "./driver.js";
import { damaged } from "./sqlite-error.js";
import { ensureSchema, pragma, schemaOf, type Tables } from "./tables.js";
import { inTransaction, whileBusy } from "./transaction.js";

export const memory = ":memory:";

/** A file up to this size is read through when it is opened, in some 100 ms; of a larger one damage shows when it is met. */
const checkedBytes = 64 * 1_048_576;
/** What a checkpoint leaves of the write-ahead log. */
const journalBytes = 8 * 1_048_576;

/**
 * The database at `location`, ready to use. Nothing is written before the file is known to be sound and ours.
 * @throws BROKER_UNAVAILABLE (no folder, no right), BROKER_FAILED (damaged), BROKER_INCOMPATIBLE (not ours, or later)
 */
export function openDatabase(driver: Driver, location: string, tables: Tables, broker: string): Database {
  if (location !== memory) createFile(location, broker);
  const database = driver(location);
  try {
    if (location !== memory) whileBusy(() => prepareFile(database, location, tables, broker));
    inTransaction(database, () => ensureSchema(database, tables, broker));
    return database;
  } catch (error) {
    database.close();
    throw error;
  }
}

/**
 * Made by us, so that nobody else can read it: SQLite gives the -wal and -shm files the rights of the main file. Never
 * opens an existing file: closing it again would drop the locks this process has on it (POSIX).
 */
function createFile(location: string, broker: string): void {
  const unavailable = (problem: string, cause: unknown) =>
    new HoldfastError("BROKER_UNAVAILABLE", { broker, problem, outcome: "notSent", taskIds: [] }, { cause });
  try {
    closeSync(openSync(location, "wx", 0o600));
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "EEXIST") return;
    if (code === "ENOENT") throw unavailable(`there is no folder ${dirname(location)}: create it`, error);
    throw unavailable(
      `${location} cannot be created (${code}): its folder must be one that this user may write`,
      error,
    );
  }
}

/** Full durability: with a write-ahead log, `synchronous = FULL` waits for the disk at every commit. */
function prepareFile(database: Database, location: string, tables: Tables, broker: string): void {
  if (statSync(location).size > 0) {
    // In a transaction: it looks at several things, and another process may be making them.
    inTransaction(database, () => schemaOf(database, tables, broker));
    checkSound(database, location, broker);
  }
  if (pragma(database, "journal_mode = WAL") !== "wal") {
    const problem = "its file system has no shared memory, which SQLite's write-ahead log needs: use a local disk";
    throw new HoldfastError("BROKER_INCOMPATIBLE", { broker, problem });
  }
  database.exec(`PRAGMA synchronous = FULL; PRAGMA journal_size_limit = ${journalBytes}`);
}

function checkSound(database: Database, location: string, broker: string): void {
  if (statSync(location).size > checkedBytes) return;
  const said = pragma(database, "quick_check(1)");
  if (said !== "ok") throw damaged(broker, String(said).replaceAll(/\s+/g, " "));
}
