import {
  type Failure,
  maxFingerprintChars,
  maxLogChars,
  maxLogLines,
  maxMessageChars,
  maxNameChars,
  maxStackChars,
  maxUrlChars,
  type Reason,
} from "../core/outcome.js";
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
  return { ...failure("manual", "Archived", reason === "" ? `by ${actor}` : `by ${actor}: ${reason}`, nowMs), actor };
}

function failure(reason: Failure["reason"], name: string, message: string, nowMs: number): Failure {
  return { reason, class: name, message, startedAtMs: nowMs, durationMs: 0 };
}

/** Bytes of one failure, as of all earlier ones together (`hf_history`). */
export const maxFailureBytes = 16_384;
export const maxHistory = 10;

/** What an engine writes of it: one line, in which the stack is cut where there is no place for all of it. */
export function failureText(whole: Failure): string {
  const text = JSON.stringify(whole);
  const over = Buffer.byteLength(text) - maxFailureBytes;
  if (over <= 0) return text;
  const { stack = "", log: _log, ...rest } = whole;
  // A character of it has a byte at least.
  return JSON.stringify({ ...rest, ...(stack.length > over ? { stack: stack.slice(0, -over).toWellFormed() } : {}) });
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
  const { reason, message, startedAtMs, durationMs, attempt, log, ...rest } = stored as Record<string, unknown>;
  // A later release may know more reasons.
  if (typeof reason !== "string" || !/^[a-z_]{1,64}$/.test(reason) || typeof message !== "string") return undefined;
  return {
    reason: reason as Reason,
    class: typeof rest["class"] === "string" ? rest["class"].slice(0, 128).toWellFormed() : "",
    message: message.slice(0, maxMessageChars).toWellFormed(),
    ...Object.fromEntries(
      Object.entries(maxChars).flatMap(([name, most]) => {
        const value = rest[name];
        return typeof value === "string" ? [[name, value.slice(0, most).toWellFormed()]] : [];
      }),
    ),
    startedAtMs: timeOf(startedAtMs),
    durationMs: timeOf(durationMs),
    ...(Number.isSafeInteger(attempt) && Number(attempt) > 0 ? { attempt: Number(attempt) } : {}),
    ...(Array.isArray(log) ? { log: log.slice(0, maxLogLines).map((line) => String(line).slice(0, maxLogChars)) } : {}),
  };
}

const maxChars = {
  stack: maxStackChars,
  fingerprint: maxFingerprintChars,
  host: maxNameChars,
  build: maxNameChars,
  logUrl: maxUrlChars,
  actor: 256,
} satisfies { readonly [Field in keyof Failure]?: number };

/** Earlier failures, a line each; the newest last. */
export function storedHistory(text: string): Failure[] {
  return text
    .split("\n", 100)
    .flatMap((line) => storedFailure(line) ?? [])
    .slice(-maxHistory);
}

const timeOf = (stored: unknown) => (typeof stored === "number" && stored >= 0 && stored <= 8.64e15 ? stored : 0);
