import type { Database } from "./driver.js";
import { isBusy } from "./sqlite-error.js";

/** How long one waits for other processes to finish what they write. */
const busyMs = 30_000;
const cell = new Int32Array(new SharedArrayBuffer(4));

/**
 * Try until the file is not locked. We wait ourselves, in short steps and in a thread that has nothing else to do:
 * SQLite's own waiting gets longer each time, up to 100 ms, and who has waited long hardly ever gets its turn then.
 */
export function whileBusy<T>(work: () => T): T {
  for (const giveUpAtMs = performance.now() + busyMs; ;) {
    try {
      return work();
    } catch (error) {
      if (!isBusy(error) || performance.now() > giveUpAtMs) throw error;
      Atomics.wait(cell, 0, 0, 0.5 + Math.random() * 2);
    }
  }
}

/** IMMEDIATE takes the lock for writing at once: a transaction that asks for it halfway cannot wait for it. */
const begin = "BEGIN IMMEDIATE";

/** @throws what `work` throws; nothing of it is kept then */
export function inTransaction<T>(database: Database, work: () => T): T {
  whileBusy(() => database.exec(begin));
  try {
    const result = work();
    database.exec("COMMIT");
    return result;
  } catch (error) {
    rollback(database);
    throw error;
  }
}

function rollback(database: Database): void {
  try {
    database.exec("ROLLBACK");
  } catch {
    // SQLite has rolled back already, as it does when the disk is full: the first error is the one to tell.
  }
}
