import { type CallOutcome, HoldfastError } from "../core/errors.js";

/** SQLite's primary result codes (sqlite.org/rescode.html); an extended code holds its primary one in the low byte. */
const code = {
  busy: 5,
  readonly: 8,
  ioError: 10,
  corrupt: 11,
  full: 13,
  cannotOpen: 14,
  tooBig: 18,
  constraint: 19,
  notADatabase: 26,
} as const;

/** The sentences of those that may come while rows are fetched: there @photostructure/sqlite 1.2 leaves the code out. */
const codeBySentence: Readonly<Record<string, number>> = {
  "database is locked": code.busy,
  "disk I/O error": code.ioError,
  "database disk image is malformed": code.corrupt,
  "database or disk is full": code.full,
  "file is not a database": code.notADatabase,
};

function primaryCode(error: unknown): number | undefined {
  const { errcode: extended, code: kind, message } = (error ?? {}) as Partial<Record<string, unknown>>;
  if (typeof extended === "number") return extended & 0xff;
  return kind === "ERR_SQLITE_ERROR" ? codeBySentence[String(message)] : undefined;
}

export const isBusy = (error: unknown): boolean => primaryCode(error) === code.busy;

export const isUnopenable = (error: unknown): boolean => primaryCode(error) === code.cannotOpen;

/** Whether the disk has no room, or this user no more of it. */
export function isFull(error: unknown): boolean {
  const { code: errno } = (error ?? {}) as NodeJS.ErrnoException;
  return primaryCode(error) === code.full || errno === "ENOSPC" || errno === "EDQUOT";
}

/** Whether the file, or the disk below it, is not what it should be. */
export function isDamage(error: unknown): boolean {
  const primary = primaryCode(error);
  return primary === code.ioError || primary === code.corrupt || primary === code.notADatabase;
}

/** Whether only the statement failed, and the transaction around it is sound. */
export function isHarmless(error: unknown): boolean {
  const primary = primaryCode(error);
  return primary === undefined || primary === code.tooBig || primary === code.constraint;
}

/** What to tell of an error of SQLite, or of the file system around it. */
export function asHoldfastError(error: unknown, broker: string): HoldfastError {
  if (error instanceof HoldfastError) return error;
  const said = error instanceof Error ? error.message : String(error);
  const unavailable = (problem: string, outcome: CallOutcome) =>
    new HoldfastError("BROKER_UNAVAILABLE", { broker, problem, outcome, taskIds: [] }, { cause: error });
  const failed = (problem: string) => new HoldfastError("BROKER_FAILED", { broker, problem }, { cause: error });
  switch (primaryCode(error)) {
    case code.busy:
      return unavailable("another process kept the file locked for too long", "refused");
    case code.full:
      return unavailable("the disk is full: make room", "refused");
    case code.readonly:
      return unavailable("the file cannot be written: give this user the right to write it and its folder", "refused");
    case code.cannotOpen:
      return unavailable(
        `the file cannot be opened (${said}): it must be a file that this user may read and write`,
        "notSent",
      );
    case code.corrupt:
    case code.notADatabase:
      return damaged(broker, said, error);
    case code.ioError:
      return failed(`reading or writing the file went wrong (${said}): look at the disk, then try again`);
    case undefined:
    default:
      return failed(said);
  }
}

export function damaged(broker: string, said: string, cause?: unknown): HoldfastError<"BROKER_FAILED"> {
  const problem =
    `the file is damaged, or no database at all (${said}); nothing was changed. Stop what uses it and keep a copy of the file with its -wal and -shm; ` +
    "then put back a backup, or save what can be read with `sqlite3 FILE .recover`, or move all three away to start anew";
  return new HoldfastError("BROKER_FAILED", { broker, problem }, { cause });
}
