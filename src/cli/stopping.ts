import { untilSignal } from "../core/loop.js";
import { calledOffExitCode } from "./exit-codes.js";

/**
 * Runs work that a first Ctrl-C (or SIGTERM) calls off between two steps, so that it can say what was done; a second one
 * ends the program at once.
 */
export async function untilStopped<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const stop = new AbortController();
  const ended = new AbortController();
  const listening = (async () => {
    if ((await untilSignal(undefined, ended.signal)) === undefined) return;
    process.exitCode = calledOffExitCode;
    stop.abort();
  })();
  try {
    return await work(stop.signal);
  } finally {
    ended.abort();
    await listening;
  }
}
