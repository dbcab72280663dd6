import type { Database, Driver } from "../driver.js";
import { isBusy } from "../sqlite-error.js";

/**
 * A lock on a file, held until it is released or the process ends, however it ends. Node.js has none of its own, so it is
 * the one that SQLite takes for writing, on a database that stays empty. It is the operating system's: it holds between
 * containers on one machine, and no file system over a network is to be trusted with it.
 */
export class SpoolLock {
  readonly #database: Database;

  private constructor(database: Database) {
    this.#database = database;
  }

  /** Undefined when another process holds it, or this one. */
  static take(driver: Driver, file: string): SpoolLock | undefined {
    const database = driver(file);
    try {
      // Nothing is ever written, so no file is needed to take it back.
      database.exec("PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE");
      return new SpoolLock(database);
    } catch (error) {
      database.close();
      if (isBusy(error)) return undefined;
      throw error;
    }
  }

  release(): void {
    // Closing alone may come late: some drivers let go of a file when what was made of it is collected as garbage.
    this.#database.exec("ROLLBACK");
    this.#database.close();
  }
}
