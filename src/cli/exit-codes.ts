import { type ErrorCode, HoldfastError } from "../core/errors.js";

/** The program was called wrongly. */
export const usageExitCode = 2;

/** There is no such task or queue. */
export const notFoundExitCode = 3;

/** It is there, and in a state that does not allow it. */
export const conflictExitCode = 4;

/** Storage cannot be used, or has lost tasks. */
export const storageExitCode = 5;

/** A signal called it off: what shells report of a program that ends by Ctrl-C. */
export const calledOffExitCode = 130;

/** How the program ends for each error: 2 fix the call, 3 not found, 4 not as things stand, 5 storage. */
export const exitCodes: Partial<Record<ErrorCode, number>> = {
  OPTION_INVALID: usageExitCode,
  PAYLOAD_INVALID: usageExitCode,
  PAYLOAD_TOO_LARGE: usageExitCode,
  RESULT_INVALID: usageExitCode,
  SEARCH_INVALID: usageExitCode,
  HANDLER_EXISTS: usageExitCode,
  TASK_NOT_FOUND: notFoundExitCode,
  GROUP_NOT_FOUND: notFoundExitCode,
  QUEUE_NOT_FOUND: notFoundExitCode,
  REDRIVE_NOT_FOUND: notFoundExitCode,
  RULE_NOT_FOUND: notFoundExitCode,
  NOT_QUARANTINED: conflictExitCode,
  REDRIVE_ENDED: conflictExitCode,
  QUEUE_NOT_EMPTY: conflictExitCode,
  TASK_ACTIVE: conflictExitCode,
  ENQUEUE_LIMITED: conflictExitCode,
  QUEUE_FULL: conflictExitCode,
  BROKER_UNAVAILABLE: storageExitCode,
  BROKER_FAILED: storageExitCode,
  BROKER_INCOMPATIBLE: storageExitCode,
  BULK_INTERRUPTED: storageExitCode,
  RUN_INTERRUPTED: storageExitCode,
  SPOOL_FULL: storageExitCode,
  SPOOL_FAILED: storageExitCode,
  SPILL_FAILED: storageExitCode,
  CLOSED: storageExitCode,
};

/** What this machine refused, a file or a port, and its sentence says enough of. */
export const isSystemError = (error: unknown): error is NodeJS.ErrnoException =>
  error instanceof Error && "syscall" in error;

/** 1 for what is not ours: a bug, to be reported. */
export function exitCodeOf(error: unknown): number {
  if (isSystemError(error)) return usageExitCode;
  return error instanceof HoldfastError ? (exitCodes[error.code as ErrorCode] ?? 1) : 1;
}
