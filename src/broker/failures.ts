import { type Failure, maxFingerprintChars, maxMessageChars, maxStackChars, type Reason } from "../core/outcome.js";
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

/**
 * What an engine reads of it: anyone may write to storage, so whatever is no record of a failure is none, and what is
 * missing from one, or is too long, does not get further.
 */
export function storedFailure(text: string): Failure | undefined {
  let stored: unknown;
  try {
    stored = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof stored !== "object" || stored === null) return undefined;
  const {
    reason,
    class: name,
    message,
    stack,
    fingerprint,
    startedAtMs,
    durationMs,
  } = stored as Record<string, unknown>;
  // A later release may know more reasons.
  if (typeof reason !== "string" || !/^[a-z_]{1,64}$/.test(reason) || typeof message !== "string") return undefined;
  return {
    reason: reason as Reason,
    class: typeof name === "string" ? name.slice(0, 128) : "",
    message: message.slice(0, maxMessageChars),
    ...(typeof stack === "string" ? { stack: stack.slice(0, maxStackChars) } : {}),
    ...(typeof fingerprint === "string" ? { fingerprint: fingerprint.slice(0, maxFingerprintChars) } : {}),
    startedAtMs: timeOf(startedAtMs),
    durationMs: timeOf(durationMs),
  };
}

const timeOf = (stored: unknown) => (typeof stored === "number" && stored >= 0 && stored <= 8.64e15 ? stored : 0);
