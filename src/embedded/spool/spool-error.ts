import { HoldfastError } from "../../core/errors.js";
import { asHoldfastError, isDamage } from "../sqlite-error.js";
import { SealBroken } from "../../core/seal.js";
import { UnknownKey } from "./spool-file.js";

/** Whether the file is to be given up, and what can be read of it brought to another one. */
export const isBroken = (error: unknown): boolean =>
  error instanceof SealBroken || isDamage(error) || isOutOfRange(error);

/** An integer that no JavaScript number holds, which nobody wrote here. */
function isOutOfRange(error: unknown): boolean {
  return error instanceof RangeError && "code" in error && error.code === "ERR_OUT_OF_RANGE";
}

/** What to tell of an error of the file, of SQLite or of the disk. */
export function asSpoolError(error: unknown, directory: string): HoldfastError {
  if (HoldfastError.is(error, "SPOOL_FULL") || HoldfastError.is(error, "OPTION_INVALID")) return error;
  return new HoldfastError("SPOOL_FAILED", { directory, problem: problemOf(error) }, { cause: error });
}

export function problemOf(error: unknown): string {
  if (error instanceof UnknownKey || error instanceof SealBroken) return error.message;
  const told = asHoldfastError(error, "the spool");
  return "problem" in told.data ? told.data.problem : told.message;
}
