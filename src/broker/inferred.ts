import type { TaskMessage } from "../core/message.js";
import type { Failure, Reason } from "../core/outcome.js";
import { maxMessageChars } from "../core/outcome.js";
import { scrub } from "../core/scrub.js";

/**
 * Why a task that a Go program archived is a dead letter, as far as what asynq stores tells: the last error and its time, the
 * failures counted and how many were allowed. Checked against asynq 0.26 by a test.
 */
export function inferredFailure(message: TaskMessage, archivedAtMs: number | undefined): Failure {
  const { lastError, lastFailedAtMs } = message;
  const { reason, class: name, text } = judged(message, archivedAtMs);
  return {
    reason,
    class: name,
    message: scrub(text, maxMessageChars),
    startedAtMs: (reason === "manual" || lastError === "" ? archivedAtMs : undefined) ?? lastFailedAtMs,
    durationMs: 0,
    inferred: true,
  };
}

/** Of one of which neither message nor record can be read nothing else is known. */
export const unreadableFailure = (archivedAtMs = 0): Failure => ({
  reason: "decode_error",
  class: "",
  message: "",
  startedAtMs: archivedAtMs,
  durationMs: 0,
  inferred: true,
});

function judged(
  { lastError, lastFailedAtMs, retried, maxRetry }: TaskMessage,
  archivedAtMs: number | undefined,
): { reason: Reason; class: string; text: string } {
  const bySomebody = { reason: "manual", class: "Archived", text: "archived by somebody with asynq's tools" } as const;
  if (lastError === "") return bySomebody;
  // asynq writes both times at once; who archives by hand leaves the error of the attempt before as it was.
  const atOnce = archivedAtMs === undefined || archivedAtMs - lastFailedAtMs <= 1_000;
  if (!atOnce) return { ...bySomebody, text: `${bySomebody.text}; the attempt before: ${lastError}` };
  if (lastError === leaseExpired) return { reason: "lease_expired", class: "", text: lastError };
  if (/^context deadline exceeded$/.test(lastError)) return { reason: "timeout", class: "", text: lastError };
  if (lastError.includes(skipRetry)) return { reason: "skip_retry", class: "", text: lastError };
  if (retried < maxRetry) return { reason: "skip_retry", class: "", text: lastError };
  const isPanic = /^panic(?: error cause by:| \[|:)/.test(lastError);
  return { reason: "retries_exhausted", class: isPanic ? "panic" : "", text: lastError };
}

/** What asynq's errors say (recoverer.go, processor.go there). */
const leaseExpired = "asynq: task lease expired";
const skipRetry = "skip retry for the task";
