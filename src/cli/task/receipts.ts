import ansis from "ansis";
import { printable } from "../../core/printable.js";
import { conflictExitCode, notFoundExitCode } from "../exit-codes.js";
import { wrapped } from "../terminal.js";

export interface Receipt {
  readonly id: string;
  readonly done: boolean;
  readonly status: string;
}

/** Words for what was not done. */
const sentences: Readonly<Record<string, string>> = {
  notFound: "not found",
  wrongState: "not in a state that allows it",
  notActive: "not running",
  duplicate: "another task holds the unique lock of that payload",
  idTaken: "another task has that id there",
};

export function receiptLines(receipts: readonly Receipt[], queue: string, doneWord: string): string[] {
  return receipts.flatMap(({ id, done, status }) => {
    if (done) return [`${doneWord}  ${printable(id)}`];
    const why = `not done  ${id}: ${sentences[status] ?? status} (queue ${queue})`;
    return wrapped(why, "", "  ").map((line) => ansis.yellow(line));
  });
}

/** One that is not there outweighs one that is not in the right state: the call itself is to be looked at. */
export function receiptsExitCode(receipts: readonly Receipt[]): void {
  const undone = receipts.filter(({ done }) => !done);
  if (undone.some(({ status }) => status === "notFound")) process.exitCode = notFoundExitCode;
  else if (undone.length > 0) process.exitCode = conflictExitCode;
}
