import { portions } from "../../core/portions.js";
import { type Failed, listOf, meaningOf, textIn, throwFailed, throwProblems } from "../answers.js";
import { maxRows } from "../batches.js";
import { type Caller, LinkError, type ScriptCall } from "../link.js";

/**
 * A script that answers a letter an id, over all ids of one queue, in one trip.
 * @throws BROKER_FAILED naming the key in the way; BROKER_UNAVAILABLE with the ids concerned
 */
export async function answerById<R extends string>(
  link: Caller,
  ids: readonly string[],
  callOf: (ids: string) => ScriptCall,
  receiptOf: Readonly<Record<string, R>>,
): Promise<R[]> {
  const parts = portions(ids, maxRows);
  const calls = parts.map((part) => callOf(JSON.stringify(part.map((id) => id.toWellFormed()))));
  return answerParts(link, parts, calls, receiptOf);
}

/** The same for calls of any shape: each answers for the ids of its part. */
export async function answerParts<R extends string>(
  link: Caller,
  parts: readonly (readonly string[])[],
  calls: readonly ScriptCall[],
  receiptOf: Readonly<Record<string, R>>,
): Promise<R[]> {
  if (calls.length === 0) return [];
  const replies = await link.run(calls, { taskIds: parts.flat() });
  const receipts: R[] = [];
  const failed: Failed[] = [];
  const done: string[] = [];
  const problems: string[] = [];
  for (const [n, part] of parts.entries()) {
    const reply = replies[n]!;
    if (reply instanceof LinkError) failed.push({ error: reply, taskIds: part });
    else if (Buffer.isBuffer(reply)) {
      const letters = String(reply);
      receipts.push(...part.map((_, k) => meaningOf(link.label, receiptOf, letters.charAt(k))));
      done.push(...part);
    } else problems.push(textIn(link.label, listOf(link.label, reply)[0]));
  }
  throwFailed(link.label, failed, done);
  throwProblems(link.label, problems);
  return receipts;
}
