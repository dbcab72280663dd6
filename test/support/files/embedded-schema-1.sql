-- A file of the embedded engine as Holdfast wrote it with schema version 1 (what SQLite's shell calls a dump).
PRAGMA application_id = 1214665588;
PRAGMA user_version = 1;
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
CREATE INDEX task_by_rank ON task (queue, state, rank);
CREATE INDEX task_in_line ON task (queue, rank) WHERE state = 'pending' AND crashes = 0;
CREATE INDEX suspect_in_line ON task (queue, rank) WHERE state = 'pending' AND crashes > 0;
CREATE INDEX unique_lock_by_time ON unique_lock (until_ms);
CREATE INDEX request_by_time ON request (at_ms);
INSERT INTO task VALUES ('old', 'active', 'active', 1800000030, 'r', 1800000000000, 0, 0, 0, NULL, NULL, x'0a0a746573743a706c61696e12066163746976651a0661637469766522036f6c64281940880e6080a305');
INSERT INTO task VALUES ('old', 'archived', 'archived', 1800000000, NULL, 1800000000000, 0, 0, 0, '{"reason":"retries_exhausted","class":"Error","message":"boom","startedAtMs":0,"durationMs":5}', NULL, x'0a0a746573743a706c61696e120861726368697665641a08617263686976656422036f6c6428193a04626f6f6d40880e5880a4a7da066080a305');
INSERT INTO task VALUES ('old', 'completed', 'completed', 1800086400, NULL, 1800000000000, 0, 0, 0, NULL, x'3432', x'0a0a746573743a706c61696e1209636f6d706c657465641a09636f6d706c6574656422036f6c64281940880e6080a3056880a4a7da06');
INSERT INTO task VALUES ('old', 'pending', 'pending', 0, NULL, 1800000000000, 0, 0, 0, NULL, NULL, x'0a0a746573743a706c61696e120770656e64696e671a0770656e64696e6722036f6c64281940880e6080a305');
INSERT INTO task VALUES ('old', 'retry', 'retry', 1800000060, NULL, 1800000000000, 0, 0, 0, '{"reason":"failed","class":"Error","message":"boom","startedAtMs":0,"durationMs":5}', NULL, x'0a0a746573743a706c61696e120572657472791a05726574727922036f6c64281930013a04626f6f6d40880e5880a4a7da066080a305');
INSERT INTO task VALUES ('old', 'scheduled', 'scheduled', 1800000090, NULL, 1800000000000, 0, 0, 0, NULL, NULL, x'0a0a746573743a706c61696e12097363686564756c65641a097363686564756c656422036f6c64281940880e6080a305');
INSERT INTO task VALUES ('old', 'unique', 'pending', 1, NULL, 1800000000000, 0, 0, 0, NULL, NULL, x'0a0a746573743a706c61696e1206756e697175651a06756e6971756522036f6c64281940880e521f6173796e713a7b6f6c647d3a756e697175653a746573743a706c61696e3a786080a305');
INSERT INTO queue VALUES ('old', 0, 2, 1, 1, 1, 1, 1, 3, 2);
INSERT INTO unique_lock VALUES ('asynq:{old}:unique:test:plain:x', 'unique', 1800003600000);
INSERT INTO request VALUES ('w', 'r', '[["old","completed"],["old","archived"],["old","retry"],["old","active"]]', 1800000000000);
