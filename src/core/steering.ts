import { type Duration, toMs } from "./duration.js";

/**
 * What a handler throws to steer its task. They are marked by name, so that a second copy of the package (ESM and CJS
 * in one process) is understood too.
 */
abstract class Steering extends Error {
  static is(error: unknown, name: string): boolean {
    return error instanceof Error && error.name === name;
  }
}

/** Archive the task now, whatever retries are left: `throw new SkipRetry("no such user")`. */
export class SkipRetry extends Steering {
  override readonly name = "SkipRetry";
}

/** Run the task again after a duration (at least "1s"), without counting a failure: `throw new RetryAfter("30s")`. */
export class RetryAfter extends Steering {
  override readonly name = "RetryAfter";
  readonly delayMs: number;

  constructor(delay: Duration, message = `again in ${delay}`, options?: ErrorOptions) {
    super(message, options);
    this.delayMs = toMs(delay, "RetryAfter");
  }
}

/** Forget the task: it is deleted and counted as processed, not as failed: `throw new Revoke()`. */
export class Revoke extends Steering {
  override readonly name = "Revoke";
}

export const isSkipRetry = (error: unknown): error is SkipRetry => Steering.is(error, "SkipRetry");
/** Another library's error of the same name has no delay to go by: it is a failure like any other. */
export const isRetryAfter = (error: unknown): error is RetryAfter =>
  Steering.is(error, "RetryAfter") && Number.isFinite((error as RetryAfter).delayMs);
export const isRevoke = (error: unknown): error is Revoke => Steering.is(error, "Revoke");
