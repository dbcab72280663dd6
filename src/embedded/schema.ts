import { HoldfastError } from "../core/errors.js";
import type { Database } from "./driver.js";

/** "HfSt": tells our files from those of other programs (`PRAGMA application_id`). */
const applicationId = 0x48665374;
/**
 * What makes version 1 of nothing, version 2 of version 1, and so on: a new file and an old one end up the same. A step
 * that is out there is never changed, another one is added. The version is stored as `PRAGMA user_version`.
 *
 * 1: One row a task. `rank` orders the tasks of one state: pending: the place in the line, lowest first; all others: the
 * Unix second they are due (scheduled, retry), expire (completed), were archived, or the lease runs out (active).
 * `token` is there while the task is active, and only then. The counts of a queue are kept, not counted.
 *
 * 2: What steering and looking need. `cancel` says how a running task is to be aborted. A queue that is paused knows since
 * when and why. `day` is counted by the days of Unix time. `act` holds what operators did, numbered by queue; `what` is a state, or ids as JSON. `worker` has
 * those that live, as JSON.
 */
const steps: readonly string[] = [
  `CREATE TABLE task (
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
`,
  `ALTER TABLE task ADD COLUMN cancel TEXT;
CREATE INDEX task_cancelled ON task (queue, id) WHERE cancel IS NOT NULL;

ALTER TABLE queue ADD COLUMN paused_ms INTEGER;
ALTER TABLE queue ADD COLUMN pause_actor TEXT;
ALTER TABLE queue ADD COLUMN pause_reason TEXT;
CREATE INDEX queue_waiting ON queue (name) WHERE pending > 0;

CREATE TABLE day (
  queue TEXT NOT NULL,
  day INTEGER NOT NULL,
  processed INTEGER NOT NULL,
  failed INTEGER NOT NULL,
  PRIMARY KEY (queue, day)
) STRICT, WITHOUT ROWID;

CREATE TABLE act (
  queue TEXT NOT NULL,
  number INTEGER NOT NULL,
  at_ms INTEGER NOT NULL,
  verb TEXT NOT NULL,
  what TEXT NOT NULL,
  count INTEGER NOT NULL,
  actor TEXT NOT NULL,
  reason TEXT NOT NULL,
  request_id TEXT NOT NULL,
  PRIMARY KEY (queue, number)
) STRICT, WITHOUT ROWID;

CREATE TABLE worker (
  id TEXT NOT NULL PRIMARY KEY,
  until_ms INTEGER NOT NULL,
  info TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX worker_by_time ON worker (until_ms);
`,
  "ALTER TABLE task ADD COLUMN progress TEXT;",
];
export const schemaVersion = steps.length;

/**
 * The version of the file's tables: 0 for a new file, which has none yet.
 * @throws BROKER_INCOMPATIBLE for a file of another program, or of a later Holdfast
 */
export function schemaOf(database: Database, broker: string): number {
  const incompatible = (problem: string) => new HoldfastError("BROKER_INCOMPATIBLE", { broker, problem });
  const version = Number(pragma(database, "user_version"));
  if (pragma(database, "application_id") === applicationId) {
    if (version <= schemaVersion) return version;
    throw incompatible(
      `its schema has version ${version}, this Holdfast knows none later than ${schemaVersion}: use the Holdfast that wrote it, or a later one`,
    );
  }
  if (version !== 0 || database.prepare("SELECT 1 FROM sqlite_master LIMIT 1").get() !== undefined) {
    throw incompatible("it is the SQLite database of another program: choose another file");
  }
  return 0;
}

/** To be called inside a transaction: of several processes that open a file, one makes what its tables lack. */
export function ensureSchema(database: Database, broker: string): void {
  const version = schemaOf(database, broker);
  if (version === schemaVersion) return;
  for (const step of steps.slice(version)) database.exec(step);
  database.exec(`PRAGMA application_id = ${applicationId}; PRAGMA user_version = ${schemaVersion}`);
}

export function pragma(database: Database, name: string): unknown {
  return Object.values(database.prepare(`PRAGMA ${name}`).get() as object)[0];
}
