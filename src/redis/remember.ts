import type { EffectAnswer, EffectStep } from "../broker/effects.js";
import { type Failed, listOf, meaningOf, throwFailed } from "./answers.js";
import { batches } from "./batches.js";
import { keysOf } from "./keys.js";
import { LinkError, type RedisLink } from "./link.js";
import { remember as rememberCall } from "./scripts.gen.js";

/** One trip, and one call a queue. */
export async function remember(link: RedisLink, steps: readonly EffectStep[]): Promise<EffectAnswer[]> {
  const queues = [...new Set(steps.map(({ lease }) => lease.queue))];
  const sent = queues.flatMap((queue) => {
    const rows = steps.map((step, at) => rowOf(step, at)).filter((_, at) => steps[at]!.lease.queue === queue);
    return [...batches(rows, ({ result }) => result.length)].map((batch) => ({ queue, batch }));
  });
  const replies = await link.run(
    sent.map(({ queue, batch }) => rememberCall(keysOf(queue), {}, batch)),
    { taskIds: steps.map(({ lease }) => lease.id) },
  );
  const answers = Array.from<EffectAnswer>({ length: steps.length });
  const failed: Failed[] = [];
  for (const [n, { batch }] of sent.entries()) {
    const reply = replies[n]!;
    if (reply instanceof LinkError) {
      failed.push({ error: reply, taskIds: batch.map(({ id }) => id) });
      continue;
    }
    const list = listOf(link.label, reply);
    for (const [k, { at }] of batch.entries()) answers[at] = answerOf(link.label, String(list[k]));
  }
  throwFailed(link.label, failed, []);
  return answers;
}

function rowOf({ lease: { id, token }, key, act }: EffectStep, at: number) {
  return { at, id, token, key, act: act.kind, result: act.kind === "done" ? act.result : "" };
}

const statuses = { b: "begun", i: "interrupted", o: "open", l: "leaseLost" } as const;

function answerOf(broker: string, reply: string): EffectAnswer {
  if (reply.startsWith("d")) return { status: "done", result: reply.slice(1) };
  return { status: meaningOf(broker, statuses, reply) };
}
