import { type Duration, maxDurationMs, toMs } from "./duration.js";
import { invalidOption, shown } from "./errors.js";

/** What a retry policy may look at. */
export interface FailedAttempt {
  /** Failures before this one: 0 at the first. */
  readonly retried: number;
  readonly maxRetry: number;
  readonly type: string;
}

/** How long after a failure the task runs again. Below "1s" counts as one second. */
export type RetryPolicy = (error: unknown, attempt: FailedAttempt) => Duration | number;

/**
 * asynq's curve: n⁴ + 15 s plus up to 30·(n + 1) s by chance, n failures before (asynq's DefaultRetryDelayFunc).
 * 25 tries give up after about 20 days.
 */
export function asynqBackoff(random: () => number = Math.random): RetryPolicy {
  return (_error, { retried }) => (retried ** 4 + 15 + Math.floor(random() * 30) * (retried + 1)) * 1_000;
}

/**
 * Exponential back-off with full jitter: by chance between 0 and min(max, base · factor^n). Spreading over the whole
 * range keeps retries of one outage apart (M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015).
 */
export function exponential(
  options: { base?: Duration; max?: Duration; factor?: number } = {},
  random: () => number = Math.random,
): RetryPolicy {
  const { base = "1s", max = "1h", factor = 2, ...unknown } = options;
  for (const name of Object.keys(unknown)) {
    throw invalidOption(`exponential.${name.slice(0, 64)}`, "is not an option; there are base, max, factor");
  }
  const baseMs = toMs(base, "exponential.base");
  const maxMs = toMs(max, "exponential.max");
  if (typeof factor !== "number" || !(factor >= 1 && factor <= 100)) {
    throw invalidOption("exponential.factor", `must be a number, 1 … 100, got ${shown(factor)}`);
  }
  return (_error, { retried }) => random() * Math.min(maxMs, baseMs * factor ** retried);
}

/** The same pause after every failure. */
export function fixed(delay: Duration): RetryPolicy {
  const delayMs = toMs(delay, "fixed");
  return () => delayMs;
}

/** What a policy answered, in ms, never below 1 s nor above 100 years. @throws OPTION_INVALID when it is no duration (NaN, negative, …) */
export function retryDelayMs(policy: RetryPolicy, error: unknown, attempt: FailedAttempt): number {
  const answer = policy(error, attempt);
  if (typeof answer !== "number") return Math.max(1_000, toMs(answer, `retry policy of "${attempt.type}"`));
  if (!Number.isFinite(answer) || answer < 0) {
    throw invalidOption(`retry policy of "${attempt.type}"`, `must answer a duration, got ${shown(answer)}`);
  }
  // asynq's curve passes 100 years at the 238th failure; a time beyond that cannot be told apart from never.
  return Math.min(maxDurationMs, Math.max(1_000, Math.ceil(answer)));
}

/** About how long it takes until a policy gives up, in ms, when each attempt fails at once. For showing to people. */
export function retryHorizonMs(policy: RetryPolicy, type: string, maxRetry: number): number {
  let totalMs = 0;
  for (let retried = 0; retried < Math.min(maxRetry, 10_000); retried += 1) {
    totalMs += retryDelayMs(policy, undefined, { retried, maxRetry, type });
  }
  return totalMs;
}
