import { setTimeout as sleep } from "node:timers/promises";

/**
 * Wait until `condition` answers something truthy, and return that. Fails with `what` when it does not within `timeoutMs`;
 * a condition that throws has not come true, and its last error is the cause.
 */
export async function until<T>(
  what: string,
  condition: () => T | Promise<T>,
  timeoutMs = 5_000,
): Promise<NonNullable<T>> {
  const endMs = performance.now() + timeoutMs;
  let cause: unknown;
  for (;;) {
    try {
      const value = await condition();
      if (value) return value;
      cause = undefined;
    } catch (error) {
      cause = error;
    }
    if (performance.now() > endMs) throw new Error(`waited ${timeoutMs} ms in vain until ${what}`, { cause });
    await sleep(10);
  }
}

/** The promise's result; fails when it does not settle within `timeoutMs`. */
export async function settles<T>(what: string, promise: Promise<T>, timeoutMs: number): Promise<T> {
  const timer = new AbortController();
  const late = sleep(timeoutMs, undefined, { signal: timer.signal }).then(() => {
    throw new Error(`${what} did not settle within ${timeoutMs} ms`);
  });
  late.catch(() => undefined);
  return Promise.race([promise, late]).finally(() => timer.abort());
}
