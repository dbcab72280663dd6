import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { HoldfastError } from "../../core/errors.js";
import type { Driver } from "../driver.js";
import { isBroken, problemOf } from "./spool-error.js";
import { SpoolFile } from "./spool-file.js";
import type { EncryptionKeys } from "../../core/encryption-key.js";
import { transactionsBehind } from "./write-ahead-log.js";

export interface DeadFile {
  /** Undefined where nothing of it can be read. */
  readonly file: SpoolFile | undefined;
  /** What is damaged; undefined where nothing is known to be. */
  readonly problem: string | undefined;
}

/**
 * The file of a process that died, as far as it can be read; where its key is not given, all but the records.
 * @throws BROKER_INCOMPATIBLE for a later Holdfast's
 */
export function openDead(driver: Driver, path: string, keys: EncryptionKeys): DeadFile {
  const log = readLog(`${path}-wal`);
  // SQLite deletes a log when it is done with it, with all that it could not read: a copy is kept, and says so later on.
  const kept = `${path}-wal-damaged`;
  try {
    const file = SpoolFile.open(driver, path, keys);
    if (transactionsBehind(log, file.checkpoint()) > 0) writeFileSync(kept, log, { mode: 0o600 });
    const problem = existsSync(kept)
      ? "its write-ahead log is damaged, what was accepted last cannot be read"
      : undefined;
    return { file, problem };
  } catch (error) {
    if (!isBroken(error) && !HoldfastError.is(error, "BROKER_FAILED")) throw error;
    // What follows the semicolon is advice for people who have no copy.
    const [problem] = problemOf(error).split(";");
    return { file: openDamaged(driver, path, keys), problem };
  }
}

function openDamaged(driver: Driver, path: string, keys: EncryptionKeys): SpoolFile | undefined {
  try {
    const file = SpoolFile.openDamaged(driver, path, keys);
    if (file.unknownKey === undefined) return file;
    file.close();
    return undefined; // Whether it is the key that is damaged, nobody can tell.
  } catch {
    return undefined; // Not even which file it is can be read.
  }
}

function readLog(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch {
    return Buffer.alloc(0); // There is none, after an orderly end.
  }
}
