import { maxOutcomeKinds, type OutcomeCount, otherType } from "../../broker/outcome-counts.js";
import { storedJson } from "../../core/stored-json.js";
import { listOf, throwProblems, totalOf } from "../answers.js";
import { outcomesKey } from "../keys.js";
import type { Caller } from "../link.js";
import { countOutcomes as countCall } from "../scripts.gen.js";

/** A call a queue, all in one trip. */
export async function countOutcomes(link: Caller, counts: readonly OutcomeCount[]): Promise<void> {
  const queues = [...new Set(counts.map(({ queue }) => queue))];
  const calls = queues.map((queue) => {
    const rows = counts
      .filter((one) => one.queue === queue)
      .map(({ type, outcome, reason, count }) => ({
        field: JSON.stringify([type, outcome, reason]),
        other: JSON.stringify([otherType, outcome, reason]),
        count,
      }));
    return countCall({ outcomes: outcomesKey(queue) }, { most: maxOutcomeKinds }, rows);
  });
  for (const reply of await link.run(calls)) if (Buffer.isBuffer(reply)) throwProblems(link.label, [String(reply)]);
}

/** What another program wrote there, and does not tell what it counts, is left out. */
export async function outcomeCounts(link: Caller, queues: readonly string[]): Promise<OutcomeCount[]> {
  const replies = await link.run(queues.map((queue) => ({ name: "HGETALL", args: [outcomesKey(queue)] })));
  return replies.flatMap((reply, n) => {
    const pairs = listOf(link.label, reply);
    return pairs.flatMap((field, at) =>
      at % 2 === 0 ? countOf(queues[n]!, String(field), totalOf(pairs[at + 1])) : [],
    );
  });
}

function countOf(queue: string, field: string, count: number): OutcomeCount[] {
  const parts = storedJson(field);
  if (!Array.isArray(parts) || parts.length !== 3 || parts.some((part) => typeof part !== "string")) return [];
  const [type, outcome, reason] = parts as [string, string, string];
  return [{ queue, type, outcome, reason, count }];
}
