import { keysOf } from "./keys.js";
import { LinkError, type RedisLink } from "./link.js";
import { probe as probeCall } from "./scripts.gen.js";

/** Resolves when the server that has the queue takes a write there. A user without the right to it has an answer, too. */
export async function probe(link: RedisLink, queue: string, nowMs: number, timeoutMs: number): Promise<void> {
  const [reply] = await link.run([probeCall(keysOf(queue), { nowNs: `${nowMs}000000` })], { timeoutMs });
  if (reply instanceof LinkError && reply.outcome !== "failed" && reply.code !== "NOPERM")
    throw reply.toError(link.label);
}
