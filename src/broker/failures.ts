import type { Failure } from "../core/outcome.js";
import type { Act } from "./roles.js";

/** What an engine writes of an attempt that nobody was there to settle. */

/** A worker has died `crashes` times while it ran the task: it is quarantined. */
export function quarantined(crashes: number, nowMs: number): Failure {
  return failure(
    "quarantined",
    "WorkerCrashed",
    `its worker died ${crashes} times while it ran: it does not run again by itself`,
    nowMs,
  );
}

/** A worker died while it ran a task that must not be started again. */
export function crashedAtMostOnce(nowMs: number): Failure {
  return failure(
    "lease_expired",
    "WorkerCrashed",
    "its worker died while it ran, and the task is to run at most once",
    nowMs,
  );
}

/** The stored message cannot be decoded, so no worker gets it; `problem` is what the decoder said. */
export function undecodable(problem: string, nowMs: number): Failure {
  return failure("decode_error", "HoldfastError", problem, nowMs);
}

/** Somebody put the task where the dead letters are. */
export function archivedBy({ actor, reason }: Act, nowMs: number): Failure {
  return failure("manual", "Archived", reason === "" ? `by ${actor}` : `by ${actor}: ${reason}`, nowMs);
}

function failure(reason: Failure["reason"], name: string, message: string, nowMs: number): Failure {
  return { reason, class: name, message, startedAtMs: nowMs, durationMs: 0 };
}
