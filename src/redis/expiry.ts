/**
 * Call `onExpired` after `ms` unless the answer, a function, is called before. A handler that blocked the event loop for
 * longer than that is not the server's fault: what has arrived meanwhile is read first.
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
