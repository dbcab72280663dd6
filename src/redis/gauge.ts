import { numberIn } from "./answers.js";
import { pendingKey } from "./keys.js";
import { LinkError, type RedisLink } from "./link.js";

/** One trip, and one command a queue. Who only wants to know does not wait for a server that is away. */
export async function pending(link: RedisLink, queues: readonly string[], timeoutMs: number): Promise<number[]> {
  const calls = queues.map((queue) => ({ name: "LLEN", args: [pendingKey(queue)] }));
  const replies = await link.run(calls, { timeoutMs, insist: false });
  return replies.map((reply) => {
    if (reply instanceof LinkError) throw reply.toError(link.label);
    return numberIn(link.label, reply);
  });
}
