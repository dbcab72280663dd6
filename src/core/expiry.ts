/**
 * Call `onExpired` after `ms` unless the answer, a function, is called before. A handler that blocked the event loop for
 * longer than that is not storage's fault: what has arrived meanwhile is read first.
 */
export function expireAfter(ms: number, onExpired: () => void): () => void {
  let look: NodeJS.Immediate | undefined;
  const timer = setTimeout(() => {
    // Timers run before the sockets are read, immediates after it.
    look = setImmediate(onExpired);
  }, ms);
  return () => {
    clearTimeout(timer);
    if (look !== undefined) clearImmediate(look);
  };
}

/** The promise's value, or undefined after `ms`. For promises that do not reject. */
export async function within<T>(promise: Promise<T>, ms: number): Promise<T | undefined> {
  let stop = () => {};
  const expired = new Promise<undefined>((resolve) => {
    stop = expireAfter(ms, () => resolve(undefined));
  });
  return Promise.race([promise, expired]).finally(stop);
}

/** The promise's value. @throws what it is rejected with, or, after `ms`, what `late` makes */
export async function inTime<T>(promise: Promise<T>, ms: number, late: () => Error): Promise<T> {
  let stop = () => {};
  const expired = new Promise<never>((_, reject) => {
    stop = expireAfter(ms, () => reject(late()));
  });
  return Promise.race([promise, expired]).finally(stop);
}
