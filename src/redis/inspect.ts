import { HoldfastError } from "../core/errors.js";
import type { DayStats, StorageInfo } from "../core/info.js";
import { listOf, numberIn, totalOf, unavailable } from "./answers.js";
import { groupKey, groupsKey, keysOf } from "./keys.js";
import { LinkError, type RedisLink, type RedisNode, type Reply } from "./link.js";
import { memory as memoryCall } from "./scripts.gen.js";
import { infoOf } from "./server-check.js";

/** Tasks of each state of a queue that are measured. */
const sample = 20;

/** One call a queue, so that none keeps the server for long. */
export async function memory(link: RedisLink, queues: readonly string[]): Promise<number[]> {
  const replies = await link.run(queues.map((queue) => memoryCall([keysOf(queue)], { sample })));
  return replies.map((reply) => numberIn(link.label, listOf(link.label, reply)[0]));
}

export async function history(
  link: RedisLink,
  queues: readonly string[],
  days: number,
  nowMs: number,
): Promise<DayStats[][]> {
  const names = Array.from({ length: days }, (_, n) => new Date(nowMs - n * 86_400_000).toISOString().slice(0, 10));
  if (names.length === 0) return queues.map(() => []);
  const replies = await link.run(
    queues.map((queue) => ({
      name: "MGET",
      args: ["processed", "failed"].flatMap((counter) => names.map((day) => `${keysOf(queue).asynq}${counter}:${day}`)),
    })),
  );
  return replies.map((reply) => {
    const counts = listOf(link.label, reply).map(totalOf);
    return names.map((day, n) => ({ day, processed: counts[n] ?? 0, failed: counts[days + n] ?? 0 }));
  });
}

export async function groups(link: RedisLink, queue: string): Promise<{ name: string; count: number }[]> {
  const [members] = await link.run([{ name: "SMEMBERS", args: [groupsKey(queue)] }]);
  const names = listOf(link.label, members).map(String).toSorted();
  const counts = await link.run(names.map((name) => ({ name: "ZCARD", args: [groupKey(queue, name)] })));
  return names.map((name, n) => ({ name, count: countOf(link, counts[n]!) })).filter(({ count }) => count > 0);
}

/** A key of another type is no group. */
function countOf(link: RedisLink, reply: Reply): number {
  if (reply instanceof LinkError && reply.code !== "WRONGTYPE") throw reply.toError(link.label);
  return typeof reply === "number" ? totalOf(reply) : 0;
}

/** Of a Cluster also while some nodes are away: then it says which. @throws BROKER_UNAVAILABLE where none answers */
export async function storage(link: RedisLink): Promise<StorageInfo> {
  const nodes = await link.nodes();
  const answers = await Promise.all(nodes.map((node) => fieldsOf(link, node).catch(unavailable)));
  const failed = answers.filter((answer) => answer instanceof HoldfastError);
  if (failed.length === nodes.length) throw failed[0]!;
  return {
    kind: "redis",
    nodes: answers.map((answer, n) => {
      const { label } = nodes[n]!.address;
      return answer instanceof HoldfastError
        ? { label, fields: {}, problem: answer.data.problem }
        : { label, fields: answer };
    }),
  };
}

async function fieldsOf(link: RedisLink, node: RedisNode): Promise<Record<string, string>> {
  const [info, user] = await node.run([
    { name: "INFO", args: [] },
    { name: "ACL", args: ["WHOAMI"] },
  ]);
  // Not every user may ask who it is.
  return { ...infoOf(info, link), ...(user instanceof LinkError ? {} : { acl_user: String(user) }) };
}
