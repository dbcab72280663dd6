import type { Tables } from "../tables.js";

/**
 * 1: `task` holds what was accepted and not released, in the order of acceptance; `record` is sealed (seal.ts). `parked`
 * has what storage refuses for good. `outcome` says for a while how each ended, as JSON. `file` has one row, `key_id` is
 * null where records are in clear.
 */
export const spoolTables: Tables = {
  /** "HfSp" */
  applicationId: 0x48665370,
  steps: [
    `CREATE TABLE file (
  id BLOB NOT NULL,
  key_id TEXT
) STRICT;

CREATE TABLE task (
  sequence INTEGER PRIMARY KEY,
  id TEXT NOT NULL,
  at_ms INTEGER NOT NULL,
  record BLOB NOT NULL
) STRICT;
CREATE INDEX task_by_age ON task (at_ms);
CREATE INDEX task_by_id ON task (id);

CREATE TABLE parked (
  sequence INTEGER PRIMARY KEY,
  id TEXT NOT NULL,
  at_ms INTEGER NOT NULL,
  record BLOB NOT NULL,
  problem TEXT NOT NULL,
  parked_ms INTEGER NOT NULL
) STRICT;

CREATE TABLE outcome (
  id TEXT NOT NULL PRIMARY KEY,
  outcome TEXT NOT NULL,
  ended_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX outcome_by_time ON outcome (ended_ms);
`,
  ],
};
