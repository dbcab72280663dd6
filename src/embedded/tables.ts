import { HoldfastError } from "../core/errors.js";
import type { Database } from "./driver.js";

/** The tables of one kind of file. */
export interface Tables {
  /** Four letters, which tell our files from those of other programs (`PRAGMA application_id`). */
  readonly applicationId: number;
  /**
   * What makes version 1 of nothing, version 2 of version 1, and so on: a new file and an old one end up the same. A step
   * that is out there is never changed, another one is added. The version is stored as `PRAGMA user_version`.
   */
  readonly steps: readonly string[];
}

/**
 * The version of the file's tables: 0 for a new file, which has none yet.
 * @throws BROKER_INCOMPATIBLE for a file of another program, or of a later Holdfast
 */
export function schemaOf(database: Database, { applicationId, steps }: Tables, broker: string): number {
  const incompatible = (problem: string) => new HoldfastError("BROKER_INCOMPATIBLE", { broker, problem });
  const version = Number(pragma(database, "user_version"));
  if (pragma(database, "application_id") === applicationId) {
    if (version <= steps.length) return version;
    throw incompatible(
      `its schema has version ${version}, this Holdfast knows none later than ${steps.length}: use the Holdfast that wrote it, or a later one`,
    );
  }
  if (version !== 0 || database.prepare("SELECT 1 FROM sqlite_master LIMIT 1").get() !== undefined) {
    throw incompatible("it is the SQLite database of another program: choose another file");
  }
  return 0;
}

/** To be called inside a transaction: of several processes that open a file, one makes what its tables lack. */
export function ensureSchema(database: Database, tables: Tables, broker: string): void {
  const { applicationId, steps } = tables;
  const version = schemaOf(database, tables, broker);
  if (version === steps.length) return;
  for (const step of steps.slice(version)) database.exec(step);
  database.exec(`PRAGMA application_id = ${applicationId}; PRAGMA user_version = ${steps.length}`);
}

export function pragma(database: Database, name: string): unknown {
  return Object.values(database.prepare(`PRAGMA ${name}`).get() as object)[0];
}
