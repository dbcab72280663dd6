import { createHash } from "node:crypto";
import { repeatHorizonMs } from "../../broker/broker.js";
import { type EvictionCause, evictionCauses, type EvictionReceipt, type SeenLetter } from "../../broker/eviction.js";
import type { Act } from "../../broker/roles.js";
import { ceilToS } from "../../core/duration.js";
import { listOf, numberIn, totalOf } from "../answers.js";
import { batches, maxBytesRead, maxRows } from "../batches.js";
import { bucketMs } from "../done-ids.js";
import { archivedAsideKey, archivedKey, evictedKey, keysOf } from "../keys.js";
import type { Caller } from "../link.js";
import { evict as evictCall } from "../scripts.gen.js";
import { answerParts } from "./by-ids.js";

const receiptOf = { e: "evicted", n: "notFound", c: "changed" } as const;

export async function evict(
  link: Caller,
  queue: string,
  letters: readonly SeenLetter[],
  cause: EvictionCause,
  by: Act,
  nowMs: number,
): Promise<EvictionReceipt[]> {
  const head = {
    nowMs,
    horizonMs: repeatHorizonMs,
    bucketMs,
    cause,
    actor: by.actor,
    reason: by.reason,
    request: by.requestId,
  };
  const parts = [...batches(letters, ({ message }) => message.length, maxRows, maxBytesRead)];
  const calls = parts.map((part) => {
    const rows = part.map(({ id, archivedAtMs, message }) => ({
      id: id.toWellFormed(),
      diedS: archivedAtMs / 1_000,
      digest: createHash("sha1").update(message).digest("hex"),
    }));
    return evictCall(keysOf(queue), head, rows);
  });
  const ids = parts.map((part) => part.map(({ id }) => id));
  return answerParts(link, ids, calls, receiptOf);
}

export async function evicted(
  link: Caller,
  queues: readonly string[],
): Promise<Partial<Record<EvictionCause, number>>[]> {
  const replies = await link.run(
    queues.map((queue) => ({ name: "HMGET", args: [evictedKey(queue), ...evictionCauses] })),
  );
  return replies.map((reply) => {
    const counts = listOf(link.label, reply);
    return Object.fromEntries(
      evictionCauses.flatMap((cause, n) => (counts[n] === null ? [] : [[cause, totalOf(counts[n])]])),
    );
  });
}

export async function diedSince(
  link: Caller,
  queues: readonly string[],
  timesMs: readonly number[],
): Promise<number[][]> {
  const replies = await link.run(
    queues.flatMap((queue) =>
      timesMs.flatMap((ms) =>
        [archivedKey(queue), archivedAsideKey(queue)].map((key) => ({
          name: "ZCOUNT",
          args: [key, ceilToS(ms), "+inf"],
        })),
      ),
    ),
  );
  const counts = replies.map((reply) => numberIn(link.label, reply));
  return queues.map((_, q) =>
    timesMs.map((__, t) => {
      const at = (q * timesMs.length + t) * 2;
      return counts[at]! + counts[at + 1]!;
    }),
  );
}

export async function inReachOfGo(link: Caller, queues: readonly string[]): Promise<number[]> {
  const replies = await link.run(queues.map((queue) => ({ name: "ZCARD", args: [archivedKey(queue)] })));
  return replies.map((reply) => numberIn(link.label, reply));
}
