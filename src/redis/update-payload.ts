import type { TaskRef } from "../broker/broker.js";
import type { Act, UpdateReceipt } from "../broker/roles.js";
import { messageWithPayload } from "../broker/steered.js";
import { decodeMessage, encodeMessage } from "../core/codec.js";
import { readable } from "../core/protobuf.js";
import { HoldfastError } from "../core/errors.js";
import { throwProblems } from "./answers.js";
import { keysOf, taskKey } from "./keys.js";
import { LinkError, type RedisLink, type Reply } from "./link.js";
import { update as updateCall } from "./scripts.gen.js";

/** How often a task is read again that somebody else has changed meanwhile. */
const maxTries = 10;
const receipts: readonly string[] = ["updated", "notFound", "wrongState", "duplicate"] satisfies UpdateReceipt[];

/** Read, then written on the condition that it is what was read: no update is lost. */
export async function updatePayload(
  link: RedisLink,
  { queue, id }: TaskRef,
  payload: Uint8Array,
  by: Act,
  nowMs: number,
): Promise<UpdateReceipt> {
  for (let tries = 0; tries < maxTries; tries++) {
    const [stored] = await link.run([{ name: "HGET", args: [taskKey(queue, id), "msg"] }], { taskIds: [id] });
    const seen = bytesOf(link, stored!, id);
    if (seen === undefined) return "notFound";
    const before = readable(decodeMessage, seen);
    if (before === undefined) return "wrongState";
    const after = messageWithPayload(before, payload);
    const [reply] = await link.run(
      [
        updateCall(keysOf(queue), {
          nowMs,
          id,
          seen,
          message: encodeMessage(after),
          lock: before.uniqueKey,
          nextLock: after.uniqueKey,
          actor: by.actor,
          reason: by.reason,
          request: by.requestId,
        }),
      ],
      { taskIds: [id] },
    );
    if (reply instanceof LinkError) throw reply.toError(link.label, [id]);
    const answer = String(reply);
    if (receipts.includes(answer)) return answer as UpdateReceipt;
    if (answer !== "changed") throwProblems(link.label, [answer]);
  }
  const problem = `task ${id} was changed by others each of ${maxTries} times it was to be`;
  throw new HoldfastError("BROKER_FAILED", { broker: link.label, problem });
}

/** A key of another type is no task. */
function bytesOf(link: RedisLink, reply: Reply, id: string): Buffer | undefined {
  if (reply instanceof LinkError && reply.code !== "WRONGTYPE") throw reply.toError(link.label, [id]);
  return Buffer.isBuffer(reply) ? reply : undefined;
}
