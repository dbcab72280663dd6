import { HoldfastError } from "./errors.js";
import { idTimeMs } from "./ids.js";
import type { TaskMessage } from "./message.js";
import { type RetryPolicy, retryDelayMs } from "./retry.js";
import { scrub, type Scrubber } from "./scrub.js";
import { isRetryAfter, isRevoke, isSkipRetry } from "./steering.js";

/** Why an attempt failed, or why a task is a dead letter. Stored, so names are only ever added. */
export const reasons = [
  "failed",
  "retries_exhausted",
  "skip_retry",
  "retry_after",
  "timeout",
  "deadline",
  "cancelled",
  "lease_expired",
  "no_handler",
  "decode_error",
  "schema_mismatch",
  "payload_too_large",
  "quarantined",
  "manual",
  "policy_discard",
  "restored",
] as const;
export type Reason = (typeof reasons)[number];

/** What is known of a failed attempt; stored as JSON in the hash field `hf_failure`. */
export interface Failure {
  readonly reason: Reason;
  /** The error's class name. */
  readonly class: string;
  /** At most 4,096 characters. */
  readonly message: string;
  /** At most 8,192 characters; only where the worker is told to keep stacks. */
  readonly stack?: string;
  /** What the task's definition says of its cause (defineTask's `fingerprint`); at most 256 characters. */
  readonly fingerprint?: string;
  readonly startedAtMs: number;
  readonly durationMs: number;
  /** Which attempt it was, from 1. */
  readonly attempt?: number;
  /** The host whose worker ran it. */
  readonly host?: string;
  /** What that worker says it was built from (its option `build`). */
  readonly build?: string;
  /** What the handler said of the attempt last (`task.log`): at most 20 lines, 2 KiB together. */
  readonly log?: readonly string[];
  /** Where all of the attempt's log is (the worker's option `logLink`). */
  readonly logUrl?: string;
  /** Who did it, where it is no attempt's failure: `manual`. */
  readonly actor?: string;
  /** Nobody wrote it down: it is what can be told from what a Go program left. */
  readonly inferred?: true;
}

/** What became of one attempt. */
export type Outcome =
  | { readonly kind: "completed"; readonly result?: Uint8Array }
  | { readonly kind: "retry"; readonly atMs: number; readonly failure: Failure; readonly counts: boolean }
  | { readonly kind: "archived"; readonly failure: Failure }
  | { readonly kind: "revoked" }
  | { readonly kind: "released"; readonly unstarted?: boolean };

/** An attempt that threw, as `verdict` judges it. */
export interface Attempt {
  readonly message: TaskMessage;
  /** How often the task was given back without a counted failure (RetryAfter, no handler, release). */
  readonly returns: number;
  readonly startedAtMs: number;
  readonly durationMs: number;
  readonly keepStack: boolean;
  /** What else is known of it, and goes with its failure. */
  readonly known?: Pick<Failure, "attempt" | "host" | "build" | "log" | "logUrl">;
  /** Takes out of texts what is not to be stored. Default: the built-in rules. */
  readonly scrub?: Scrubber;
  /** What the task's definition says of an error's cause. */
  readonly fingerprint?: ((error: unknown) => unknown) | undefined;
  /** It has been started, and must not be started again: it is not given back when its worker stops. */
  readonly atMostOnce: boolean;
}

/** Every task terminates: past so many returns, or given back again at this age, it ends in the archive. */
export const maxReturns = 1_000;
export const maxReturnAgeMs = 365 * 86_400_000;
/** How long a task whose type no handler of a worker knows waits for another worker. */
const noHandlerDelayMs = 30_000;

/**
 * What an error means for its task. The one place that decides between retry, archive and forgetting. Never throws,
 * whatever a handler threw.
 */
export function verdict(error: unknown, attempt: Attempt, policy: RetryPolicy, nowMs: number): Outcome {
  try {
    return judged(error, attempt, policy, nowMs);
  } catch {
    // Even looking at it threw (a getter, a proxy): a failure like any other, of which nothing is known.
    return judged(new Error(unreadable), attempt, policy, nowMs);
  }
}

function judged(error: unknown, attempt: Attempt, policy: RetryPolicy, nowMs: number): Outcome {
  if (isRevoke(error)) return { kind: "revoked" };
  const { message } = attempt;
  if (isSkipRetry(error)) return { kind: "archived", failure: failureOf(error, "skip_retry", attempt) };
  if (isRetryAfter(error)) return givenBack(error, "retry_after", error.delayMs, attempt, nowMs);
  if (HoldfastError.is(error, "WORKER_STOPPING")) {
    if (attempt.atMostOnce) return { kind: "archived", failure: failureOf(error, "cancelled", attempt) };
    return returnsExhausted(attempt, nowMs)
      ? { kind: "archived", failure: failureOf(error, "retries_exhausted", attempt) }
      : { kind: "released" };
  }
  const reason = reasonOf(error, message.type);
  // Another worker may know this type: it is no failure of the task.
  if (reason === "no_handler") return givenBack(error, reason, noHandlerDelayMs, attempt, nowMs);
  const isFinal = hopeless.has(reason) || (HoldfastError.is(error, "TASK_CANCELLED") && error.data.how === "archive");
  if (isFinal) return { kind: "archived", failure: failureOf(error, reason, attempt) };
  if (message.retried >= message.maxRetry) {
    const last = reason === "failed" ? "retries_exhausted" : reason;
    return { kind: "archived", failure: failureOf(error, last, attempt) };
  }
  let delayMs: number;
  try {
    delayMs = retryDelayMs(policy, error, { retried: message.retried, maxRetry: message.maxRetry, type: message.type });
  } catch (policyError) {
    // A broken policy must not lose the task, nor repeat it in a circle.
    return { kind: "archived", failure: failureOf(policyError, "policy_discard", attempt) };
  }
  return { kind: "retry", atMs: nowMs + delayMs, failure: failureOf(error, reason, attempt), counts: true };
}

function givenBack(error: unknown, reason: Reason, delayMs: number, attempt: Attempt, nowMs: number): Outcome {
  if (returnsExhausted(attempt, nowMs)) {
    const last = reason === "retry_after" ? "retries_exhausted" : reason;
    return { kind: "archived", failure: failureOf(error, last, attempt) };
  }
  return {
    kind: "retry",
    atMs: nowMs + Math.max(1_000, delayMs),
    failure: failureOf(error, reason, attempt),
    counts: false,
  };
}

/** True when a task has been given back so often, or for so long, that giving it back once more must end. */
function returnsExhausted(attempt: Pick<Attempt, "message" | "returns">, nowMs: number): boolean {
  const madeMs = idTimeMs(attempt.message.id);
  if (attempt.returns >= maxReturns) return true;
  return attempt.returns > 0 && madeMs !== undefined && nowMs - madeMs > maxReturnAgeMs;
}

/** Trying again cannot help: the stored bytes stay what they are, and a deadline does not come back. */
const hopeless: ReadonlySet<Reason> = new Set(["decode_error", "schema_mismatch", "deadline"]);

function reasonOf(error: unknown, type: string): Reason {
  if (HoldfastError.is(error, "TASK_TIMEOUT")) return "timeout";
  if (HoldfastError.is(error, "TASK_DEADLINE")) return "deadline";
  if (HoldfastError.is(error, "TASK_CANCELLED")) return "cancelled";
  if (HoldfastError.is(error, "HANDLER_MISSING") || HoldfastError.is(error, "BUILD_TOO_OLD")) return "no_handler";
  if (HoldfastError.is(error, "MESSAGE_INVALID")) return "decode_error";
  // Of another type: the handler tried to enqueue something wrong, which is a failure like any other.
  if (HoldfastError.is(error, "PAYLOAD_INVALID") && error.data.type === type) return "schema_mismatch";
  return "failed";
}

const unreadable = "what was thrown could not be read";
export const maxMessageChars = 4_096;
export const maxStackChars = 8_192;
export const maxFingerprintChars = 256;
/** Of a host and of a build. */
export const maxNameChars = 128;
export const maxUrlChars = 512;
export const maxLogLines = 20;
/** Of all lines together. */
export const maxLogChars = 2_048;

/** Whatever was thrown (an Error, a string, null, an object whose getters throw) as a record that can be stored. */
export function failureOf(
  thrown: unknown,
  reason: Reason,
  attempt: Pick<Attempt, "startedAtMs" | "durationMs" | "keepStack" | "fingerprint" | "known" | "scrub">,
): Failure {
  const { class: name, message, stack } = described(thrown, attempt);
  const fingerprint = causeOf(thrown, attempt);
  return {
    reason,
    class: name,
    message,
    ...(stack === "" ? {} : { stack }),
    ...(fingerprint === "" ? {} : { fingerprint }),
    startedAtMs: attempt.startedAtMs,
    durationMs: attempt.durationMs,
    ...attempt.known,
  };
}

/** "" where nothing, or nothing of use, is said: then the cause is told by the failure itself. */
function causeOf(
  thrown: unknown,
  { fingerprint, scrub: clean = scrub }: Pick<Attempt, "fingerprint" | "scrub">,
): string {
  if (fingerprint === undefined) return "";
  try {
    const said = fingerprint(thrown);
    return typeof said === "string" ? text(said, maxFingerprintChars, clean) : "";
  } catch {
    return "";
  }
}

function described(
  thrown: unknown,
  { keepStack, scrub: clean = scrub }: Pick<Attempt, "keepStack" | "scrub">,
): { class: string; message: string; stack: string } {
  try {
    if (thrown instanceof Error) {
      const name = text(thrown.name, 128, clean) || "Error";
      return {
        class: name,
        message: text(withCauses(thrown), maxMessageChars, clean) || name,
        stack: keepStack ? text(thrown.stack, maxStackChars, clean) : "",
      };
    }
    const name = thrown === null ? "null" : typeof thrown;
    return { class: name, message: text(thrown, maxMessageChars, clean) || name, stack: "" };
  } catch {
    return { class: "unreadable", message: unreadable, stack: "" };
  }
}

/**
 * "fetch failed" says little: what lies underneath is told too, three levels down at the most. Not of our own errors: a
 * schema's sentence may quote the payload.
 */
function withCauses(error: Error): string {
  const chain = new Set([error]);
  let { cause } = error;
  while (cause instanceof Error && !chain.has(cause) && chain.size <= 3 && error.name !== "HoldfastError") {
    chain.add(cause);
    ({ cause } = cause);
  }
  return Array.from(chain, (one) => one.message || one.name).join(": ");
}

// asynq cannot write, nor read, text that is not valid UTF-8: a lone surrogate becomes U+FFFD here.
const text = (value: unknown, maxChars: number, clean: Scrubber): string =>
  value === undefined || value === null ? "" : clean(String(value), maxChars).toWellFormed();
