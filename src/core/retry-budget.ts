import { maxDurationMs } from "./duration.js";
import { invalidOption } from "./errors.js";
import { type RetryPolicy, retryDelayMs } from "./retry.js";
import { resolve, setting } from "./settings.js";
import { TokenBucket } from "./token-bucket.js";

/** How many retries of a type one worker asks for. */
export interface RetryBudget {
  /** 1 … 1,000,000. So many fall due as their policy says; those beyond are spread out, so many a minute. */
  readonly perMinute: number;
}

const budgetSettings = {
  perMinute: setting.integer({ default: undefined, min: 1, max: 1_000_000, says: "retries a minute" }),
};

/** @throws OPTION_INVALID */
export function retryBudgetOf(value: unknown, option: string): RetryBudget | undefined {
  if (value === undefined) return undefined;
  const { perMinute } = resolve(budgetSettings, value as RetryBudget, option);
  if (perMinute === undefined)
    throw invalidOption(`${option}.perMinute`, `must be ${budgetSettings.perMinute.allowed}, got undefined`);
  return Object.freeze({ perMinute });
}

/** The same policy, within a budget: a retry that is beyond it comes later by as long as it takes until it is its turn. */
export function withinBudget(policy: RetryPolicy, { perMinute }: RetryBudget, clock?: () => number): RetryPolicy {
  const bucket = new TokenBucket({ perSecond: perMinute / 60, burst: perMinute }, clock);
  return (error, attempt) => {
    const delayMs = retryDelayMs(policy, error, attempt);
    return Math.min(maxDurationMs, delayMs + bucket.take(1, Number.POSITIVE_INFINITY));
  };
}
