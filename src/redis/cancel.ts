import type { Cancellation, TaskRef } from "../broker/broker.js";
import type { Act, CancelReceipt } from "../broker/roles.js";
import { portions } from "../core/portions.js";
import { type Failed, listOf, meaningOf, textIn, throwFailed, throwProblems } from "./answers.js";
import { maxRows } from "./batches.js";
import { cancelChannel, keysOf, taskKey } from "./keys.js";
import { LinkError, type RedisLink, type Reply } from "./link.js";
import { cancel as cancelCall } from "./scripts.gen.js";

const receiptOf: Readonly<Record<string, CancelReceipt>> = { r: "requested", a: "notActive", n: "notFound" };

export async function cancel(
  link: RedisLink,
  tasks: readonly TaskRef[],
  how: Cancellation,
  by: Act,
  nowMs: number,
): Promise<CancelReceipt[]> {
  const batches = [...new Set(tasks.map(({ queue }) => queue))].flatMap((queue) => {
    const places = [...tasks.keys()].filter((at) => tasks[at]!.queue === queue);
    return portions(places, maxRows).map((some) => ({ queue, places: some }));
  });
  const idsOf = (places: readonly number[]) => places.map((at) => tasks[at]!.id);
  const replies = await link.run(
    batches.map(({ queue, places }) =>
      cancelCall(keysOf(queue), {
        ids: JSON.stringify(idsOf(places)),
        how,
        channel: cancelChannel,
        nowMs,
        actor: by.actor,
        reason: by.reason,
        request: by.requestId,
      }),
    ),
    { taskIds: tasks.map(({ id }) => id) },
  );
  const receipts: CancelReceipt[] = [];
  const failed: Failed[] = [];
  const done: string[] = [];
  const problems: string[] = [];
  for (const [n, { places }] of batches.entries()) {
    const reply = replies[n]!;
    if (reply instanceof LinkError) failed.push({ error: reply, taskIds: idsOf(places) });
    else if (Buffer.isBuffer(reply)) {
      done.push(...idsOf(places));
      const letters = String(reply);
      for (const [k, at] of places.entries()) receipts[at] = meaningOf(link.label, receiptOf, letters.charAt(k));
    } else {
      problems.push(textIn(link.label, listOf(link.label, reply)[0]));
    }
  }
  throwFailed(link.label, failed, done);
  throwProblems(link.label, problems);
  return receipts;
}

export async function cancellations(link: RedisLink, tasks: readonly TaskRef[]): Promise<(Cancellation | undefined)[]> {
  const replies = await link.run(
    tasks.map(({ queue, id }) => ({ name: "HGET", args: [taskKey(queue, id), "hf_cancel"] })),
  );
  return replies.map((reply) => asCancellation(reply));
}

function asCancellation(reply: Reply): Cancellation | undefined {
  const how = String(reply);
  return how === "retry" || how === "archive" ? how : undefined;
}
