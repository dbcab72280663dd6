import { HoldfastError } from "../core/errors.js";
import type { Database } from "./driver.js";

/** "HfSt": tells our files from those of other programs (`PRAGMA application_id`). */
const applicationId = 0x48665374;
/** Stored as `PRAGMA user_version`; a file of a later version is refused. */
const schemaVersion = 1;

/**
 * One row a task. `rank` orders the tasks of one state: pending: the place in the line, lowest first; all others: the
 * Unix second they are due (scheduled, retry), expire (completed), were archived, or the lease runs out (active).
 * `token` is there while the task is active, and only then. The counts of a queue are kept, not counted.
 */
const tables = `
CREATE TABLE task (
  queue TEXT NOT NULL,
  id TEXT NOT NULL,
  state TEXT NOT NULL,
  rank INTEGER NOT NULL,
  token TEXT,
  since_ms INTEGER NOT NULL DEFAULT 0,
  crashes INTEGER NOT NULL DEFAULT 0,
  returns INTEGER NOT NULL DEFAULT 0,
  at_most_once INTEGER NOT NULL DEFAULT 0,
  failure TEXT,
  result BLOB,
  message BLOB NOT NULL,
  PRIMARY KEY (queue, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX task_by_rank ON task (queue, state, rank);
CREATE INDEX task_in_line ON task (queue, rank) WHERE state = 'pending' AND crashes = 0;
CREATE INDEX suspect_in_line ON task (queue, rank) WHERE state = 'pending' AND crashes > 0;

CREATE TABLE queue (
  name TEXT NOT NULL PRIMARY KEY,
  paused INTEGER NOT NULL DEFAULT 0,
  pending INTEGER NOT NULL DEFAULT 0,
  active INTEGER NOT NULL DEFAULT 0,
  scheduled INTEGER NOT NULL DEFAULT 0,
  retry INTEGER NOT NULL DEFAULT 0,
  archived INTEGER NOT NULL DEFAULT 0,
  completed INTEGER NOT NULL DEFAULT 0,
  processed INTEGER NOT NULL DEFAULT 0,
  failed INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;

CREATE TABLE unique_lock (
  key TEXT NOT NULL PRIMARY KEY,
  id TEXT NOT NULL,
  until_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX unique_lock_by_time ON unique_lock (until_ms);

CREATE TABLE finished (
  minute INTEGER NOT NULL,
  queue TEXT NOT NULL,
  id TEXT NOT NULL,
  PRIMARY KEY (minute, queue, id)
) STRICT, WITHOUT ROWID;

CREATE TABLE request (
  worker TEXT NOT NULL PRIMARY KEY,
  id TEXT NOT NULL,
  leased TEXT NOT NULL,
  at_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX request_by_time ON request (at_ms);

PRAGMA application_id = ${applicationId};
PRAGMA user_version = ${schemaVersion};
`;

/**
 * Whether the file is ours, and has its tables; a new one has none yet.
 * @throws BROKER_INCOMPATIBLE for a file of another program, or of a later Holdfast
 */
export function hasSchema(database: Database, broker: string): boolean {
  const incompatible = (problem: string) => new HoldfastError("BROKER_INCOMPATIBLE", { broker, problem });
  const version = Number(pragma(database, "user_version"));
  if (pragma(database, "application_id") === applicationId) {
    if (version === schemaVersion) return true;
    throw incompatible(
      `its schema has version ${version}, this Holdfast knows version ${schemaVersion}: use the Holdfast that wrote it, or a later one`,
    );
  }
  if (version !== 0 || database.prepare("SELECT 1 FROM sqlite_master LIMIT 1").get() !== undefined) {
    throw incompatible("it is the SQLite database of another program: choose another file");
  }
  return false;
}

/** To be called inside a transaction: of several processes that open a new file, one makes the tables. */
export function ensureSchema(database: Database, broker: string): void {
  if (!hasSchema(database, broker)) database.exec(tables);
}

export function pragma(database: Database, name: string): unknown {
  return Object.values(database.prepare(`PRAGMA ${name}`).get() as object)[0];
}
