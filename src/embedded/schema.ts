import type { Tables } from "./tables.js";

/**
 * 1: One row a task. `rank` orders the tasks of one state: pending: the place in the line, lowest first; all others: the
 * Unix second they are due (scheduled, retry), expire (completed), were archived, or the lease runs out (active).
 * `token` is there while the task is active, and only then. The counts of a queue are kept, not counted.
 *
 * 2: What steering and looking need. `cancel` says how a running task is to be aborted. A queue that is paused knows since
 * when and why. `day` is counted by the days of Unix time. `act` holds what operators did, numbered by queue; `what` is a state, or ids as JSON. `worker` has
 * those that live, as JSON.
 *
 * 3: `progress` is what a handler told last, as JSON. 4: `effects` is what its task has had done once (remember.ts).
 * 5: `document`: the small documents beside dead letters, as "version JSON". 6: `evicted` counts dead letters that a policy
 * took out of storage.
 * 7: `redriven`: what became of each task of a redrive; `by_ms` is when it died (left), or when to look at it (waiting). A
 * task says which redrive chose it, and how often it was run again.
 * 8: `trash` holds what was discarded: the row of the task, and when it goes for good; `ack`, `restored` and `copies` are
 * what people did with a dead letter, as JSON.
 * 10: `quarantine`: who put a dead letter there, as `ack`.
 * 11: `history` is earlier failures, a line each (history.ts).
 * 12: `fingerprint`: the failure group of a dead letter, once it has come to it; triggers count those that leave. A row
 * that comes back from elsewhere comes to it anew.
 * 13: `outcome_count`: how attempts ended, by type.
 * 14: the cause of what a redrive moved, and in which of its rounds the end was seen: what its brake goes by.
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
  "ALTER TABLE task ADD COLUMN effects TEXT;",
  `CREATE TABLE document (
  kind TEXT NOT NULL,
  id TEXT NOT NULL,
  stored TEXT NOT NULL,
  PRIMARY KEY (kind, id)
) STRICT, WITHOUT ROWID;`,
  `CREATE TABLE evicted (
  queue TEXT NOT NULL,
  cause TEXT NOT NULL,
  count INTEGER NOT NULL,
  PRIMARY KEY (queue, cause)
) STRICT, WITHOUT ROWID;`,
  `ALTER TABLE task ADD COLUMN redrive TEXT;
ALTER TABLE task ADD COLUMN redrives INTEGER NOT NULL DEFAULT 0;
CREATE TABLE redriven (
  redrive TEXT NOT NULL,
  queue TEXT NOT NULL,
  id TEXT NOT NULL,
  became TEXT NOT NULL,
  by_ms INTEGER NOT NULL,
  mark TEXT NOT NULL,
  ended_ms INTEGER,
  PRIMARY KEY (redrive, queue, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX redriven_next ON redriven (redrive, queue, became, by_ms, id);
CREATE INDEX redriven_ended ON redriven (ended_ms) WHERE ended_ms IS NOT NULL;`,
  `CREATE TABLE trash (
  queue TEXT NOT NULL,
  id TEXT NOT NULL,
  until_s INTEGER NOT NULL,
  stored TEXT NOT NULL,
  message BLOB NOT NULL,
  result BLOB,
  mark TEXT NOT NULL,
  lock_ms INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (queue, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX trash_by_time ON trash (queue, until_s);
ALTER TABLE task ADD COLUMN ack TEXT;
ALTER TABLE task ADD COLUMN restored TEXT;
ALTER TABLE task ADD COLUMN copies TEXT;`,
  `CREATE TABLE sealed (
  n INTEGER NOT NULL PRIMARY KEY,
  hash TEXT NOT NULL,
  record TEXT NOT NULL
) STRICT;
CREATE TABLE sealed_place (
  log TEXT NOT NULL PRIMARY KEY,
  id TEXT NOT NULL,
  number INTEGER
) STRICT, WITHOUT ROWID;
CREATE TABLE sealed_head (
  one INTEGER NOT NULL PRIMARY KEY CHECK (one = 1),
  n INTEGER NOT NULL,
  hash TEXT NOT NULL
) STRICT;`,
  "ALTER TABLE task ADD COLUMN quarantine TEXT;",
  "ALTER TABLE task ADD COLUMN history TEXT;",
  `ALTER TABLE task ADD COLUMN fingerprint TEXT;
CREATE INDEX task_unindexed ON task (queue, rank) WHERE state = 'archived' AND fingerprint IS NULL;
CREATE INDEX task_by_fingerprint ON task (queue, fingerprint, rank) WHERE fingerprint IS NOT NULL;

CREATE TABLE failure_group (
  queue TEXT NOT NULL,
  fingerprint TEXT NOT NULL,
  members INTEGER NOT NULL,
  about TEXT NOT NULL,
  PRIMARY KEY (queue, fingerprint)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER task_leaves_group AFTER UPDATE OF state ON task
WHEN OLD.fingerprint IS NOT NULL AND NEW.state <> 'archived' BEGIN
  UPDATE failure_group SET members = members - 1 WHERE queue = OLD.queue AND fingerprint = OLD.fingerprint;
  UPDATE task SET fingerprint = NULL WHERE queue = OLD.queue AND id = OLD.id;
END;
CREATE TRIGGER task_comes_without_group AFTER INSERT ON task WHEN NEW.fingerprint IS NOT NULL BEGIN
  UPDATE task SET fingerprint = NULL WHERE queue = NEW.queue AND id = NEW.id;
END;
CREATE TRIGGER task_leaves_with_group AFTER DELETE ON task WHEN OLD.fingerprint IS NOT NULL BEGIN
  UPDATE failure_group SET members = members - 1 WHERE queue = OLD.queue AND fingerprint = OLD.fingerprint;
END;`,
  `CREATE TABLE outcome_count (
  queue TEXT NOT NULL,
  type TEXT NOT NULL,
  outcome TEXT NOT NULL,
  reason TEXT NOT NULL,
  count INTEGER NOT NULL,
  PRIMARY KEY (queue, type, outcome, reason)
) STRICT, WITHOUT ROWID;`,
  `ALTER TABLE redriven ADD COLUMN cause TEXT NOT NULL DEFAULT '';
ALTER TABLE redriven ADD COLUMN round INTEGER NOT NULL DEFAULT 0;
CREATE INDEX redriven_causes ON redriven (redrive, queue, round, cause, became) WHERE cause <> '';`,
];

/** "HfSt" */
export const taskTables: Tables = { applicationId: 0x48665374, steps };
