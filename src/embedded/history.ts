import { maxFailureBytes, maxHistory } from "../broker/failures.js";

export interface Told {
  readonly failure: string | null;
  readonly history: string | null;
}

/**
 * The lines of earlier failures, the newest last, with the one that another is to be written over: at most 10, and 16 KiB. As
 * they are when a task is given back for the reason it was given back for before.
 */
export function historyWithLast({ failure, history }: Told, next: string, givenBack: boolean): string | null {
  if (failure === null || Buffer.byteLength(failure) > maxFailureBytes || failure.includes("\n")) return history;
  if (givenBack && reasonIn(failure) === reasonIn(next)) return history;
  const lines = [...(history === null || history === "" ? [] : history.split("\n")), failure].slice(-maxHistory);
  while (Buffer.byteLength(lines.join("\n")) > maxFailureBytes) lines.shift();
  return lines.join("\n");
}

const reasonIn = (failure: string) => /^\{"reason":"[a-z_]+"/.exec(failure)?.[0];
