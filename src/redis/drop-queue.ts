import { droppedAct } from "../broker/audit.js";
import type { Act, DropReceipt } from "../broker/roles.js";
import { floorToS } from "../core/duration.js";
import { append, lastNumber } from "./audit.js";
import { listOf, meaningOf } from "./answers.js";
import { maxRows } from "./batches.js";
import { auditKey, keysOf, pendingKey, queuesKey, retryKey, scheduledKey } from "./keys.js";
import { LinkError, type RedisLink } from "./link.js";
import { drop as dropCall } from "./scripts.gen.js";

const receipts = { dropped: "dropped", more: "more", notEmpty: "notEmpty", active: "active" } as const;

export async function dropQueue(
  link: RedisLink,
  queue: string,
  { force, limit }: { readonly force: boolean; readonly limit: number },
  by: Act,
  nowMs: number,
): Promise<DropReceipt> {
  const [names] = await link.run([{ name: "SMEMBERS", args: [queuesKey] }]);
  const known = listOf(link.label, names).map(String);
  if (!known.includes(queue)) return "notFound";
  const head = {
    nowS: floorToS(nowMs),
    nowMs,
    force: force ? 1 : 0,
    limit: Math.max(1, Math.min(limit, maxRows)),
    // Of a queue named "a}:b", which only old clients make, all keys begin like those of "a".
    others: JSON.stringify(known.filter((name) => name.startsWith(`${queue}}:`))),
    pattern: `*:{${queue.replaceAll(/[*?[\]\\^-]/g, String.raw`\$&`)}}:*`,
    actor: by.actor,
    reason: by.reason,
    request: by.requestId,
  };
  const [log, reply] = await link.run([
    { name: "XREVRANGE", args: [auditKey(queue), "+", "-", "COUNT", 1] },
    dropCall(keysOf(queue), head),
  ]);
  if (reply instanceof LinkError) throw reply.toError(link.label);
  const receipt = meaningOf(link.label, receipts, String(reply));
  if (receipt === "dropped") {
    // Its own log is gone with it. Before its name, so that a drop that is cut off here is seen, and done again.
    await append(link, [{ ...by, ...droppedAct(queue, lastNumber(link, log)) }], nowMs);
    await forget(link, queue);
  }
  return receipt;
}

/** The names of all queues are elsewhere in a Cluster, so a client may have put tasks there meanwhile: then it is a queue again. */
async function forget(link: RedisLink, queue: string): Promise<void> {
  const replies = await link.run([
    { name: "SREM", args: [queuesKey, queue] },
    { name: "EXISTS", args: [pendingKey(queue), scheduledKey(queue), retryKey(queue)] },
  ]);
  for (const reply of replies) if (reply instanceof LinkError) throw reply.toError(link.label);
  if (replies[1] !== 0) await link.run([{ name: "SADD", args: [queuesKey, queue] }]);
}
