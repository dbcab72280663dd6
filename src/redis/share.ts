import type { Promotion, ReclaimReceipt } from "../broker/broker.js";
import { isUnreadable } from "./answers.js";
import { promote, prune, reclaim } from "./maintain.js";
import type { Caller, RedisLink } from "./link.js";

// Maintenance where each call takes one queue only, as in a Cluster. `limit` bounds all of them together: each queue gets
// an equal share, and what is left over is shared by those that used theirs up. A queue whose node is away is worth an
// error only when nothing was done in the others.

export async function reclaimShared(
  link: RedisLink,
  queues: readonly string[],
  limit: number,
  nowMs: number,
): Promise<ReclaimReceipt[]> {
  const receipts: ReclaimReceipt[] = [];
  await share(link, queues, limit, async (node, queue, most) => {
    const some = await reclaim(node, [queue], most, nowMs);
    receipts.push(...some);
    return some.length;
  });
  return receipts;
}

export async function promoteShared(
  link: RedisLink,
  queues: readonly string[],
  limit: number,
  nowMs: number,
): Promise<Promotion> {
  const next = new Map<string, number>();
  const moved = await share(link, queues, limit, async (node, queue, most) => {
    const promotion = await promote(node, [queue], most, nowMs);
    next.set(queue, promotion.nextDueMs ?? Number.POSITIVE_INFINITY);
    return promotion.moved;
  });
  const nextDueMs = Math.min(...next.values());
  return { moved, nextDueMs: Number.isFinite(nextDueMs) ? nextDueMs : undefined };
}

export async function pruneShared(
  link: RedisLink,
  queues: readonly string[],
  limit: number,
  nowMs: number,
): Promise<number> {
  return share(link, queues, limit, (node, queue, most) => prune(node, [queue], most, nowMs));
}

/** Answers how many were worked on. Each queue is asked at least once, be it with nothing to give it. */
export async function share(
  link: RedisLink,
  queues: readonly string[],
  limit: number,
  work: (link: Caller, queue: string, most: number) => Promise<number>,
): Promise<number> {
  // Others need not wait for a queue whose node is away.
  const node: Caller = { label: link.label, run: (calls, options) => link.run(calls, { ...options, insist: false }) };
  let done = 0;
  let trouble: { readonly error: unknown } | undefined;
  for (let asked = queues; asked.length > 0 && (done < limit || asked === queues);) {
    const left = limit - done;
    const shares = asked.map((_, n) => Math.floor(left / asked.length) + (n < left % asked.length ? 1 : 0));
    const answers = await Promise.allSettled(asked.map((queue, n) => work(node, queue, shares[n]!)));
    const hungry: string[] = [];
    for (const [n, answer] of answers.entries()) {
      if (answer.status === "rejected") {
        if (isUnreadable(answer.reason)) link.distrust();
        trouble ??= { error: answer.reason };
        continue;
      }
      done += answer.value;
      if (answer.value === shares[n]) hungry.push(asked[n]!);
    }
    asked = hungry;
  }
  if (done === 0 && trouble !== undefined) throw trouble.error;
  return done;
}
