import { setTimeout as sleep } from "node:timers/promises";

export interface LoopOptions {
  /** Pause between two steps in ms, unless a step answers with another. */
  readonly everyMs: number;
  readonly signal: AbortSignal;
  /** A step that throws ends neither the loop nor the process: it is told here, and the next step follows. */
  readonly onError: (error: unknown) => void;
}

/**
 * Call `step` again and again until the signal aborts. A step may answer how many ms to wait before the next one
 * (0: at once); otherwise `everyMs` passes. Resolves when the last step has ended.
 */
export async function loop(step: () => Promise<number | void>, options: LoopOptions): Promise<void> {
  while (!options.signal.aborted) {
    let waitMs: number | void = undefined;
    try {
      waitMs = await step();
    } catch (error) {
      options.onError(error);
    }
    await pause(waitMs ?? options.everyMs, options.signal);
  }
}

/**
 * Wait `ms`, or until the signal aborts, if there is one; never throws. Who cannot be called off gives none: a hundred that
 * wait on one signal look like a leak, and Node.js warns of it.
 */
export async function pause(ms: number, signal?: AbortSignal): Promise<void> {
  try {
    await sleep(ms, undefined, signal && { signal });
  } catch {
    // Aborted: the caller looks at the signal.
  }
}

/** What asks a program to end. */
export const stopSignals: readonly NodeJS.Signals[] = ["SIGINT", "SIGTERM"];

/** Resolves with the first of these signals that the process gets, or with nothing when `ended` aborts; listens no longer. */
export async function untilSignal(
  signals: readonly NodeJS.Signals[] = stopSignals,
  ended?: AbortSignal,
): Promise<NodeJS.Signals | undefined> {
  return new Promise((resolve) => {
    const listener = (signal?: NodeJS.Signals) => {
      for (const name of signals) process.removeListener(name, listener);
      ended?.removeEventListener("abort", onEnded);
      resolve(signal);
    };
    const onEnded = () => listener();
    for (const name of signals) process.on(name, listener);
    if (ended?.aborted === true) onEnded();
    else ended?.addEventListener("abort", onEnded);
  });
}
