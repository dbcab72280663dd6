import { maxCrashes, repeatHorizonMs } from "../broker/broker.js";
import { archivedBy, failureText } from "../broker/failures.js";
import type { Act, MoveReceipt, MoveSelection, MoveTarget, PauseReceipt, Steering } from "../broker/roles.js";
import { floorToS } from "../core/duration.js";
import { portions } from "../core/portions.js";
import {
  type Failed,
  heed,
  listOf,
  meaningOf,
  numberIn,
  textIn,
  throwFailed,
  throwProblems,
  unreadable,
} from "./answers.js";
import { maxRows } from "./batches.js";
import { bucketMs } from "./done-ids.js";
import { statisticsOf } from "./exchange.js";
import { keysOf } from "./keys.js";
import { existing } from "./look.js";
import { LinkError, type RedisLink, type Reply } from "./link.js";
import { move as moveCall, pause as pauseCall } from "./scripts.gen.js";

const receiptOf = { m: "moved", n: "notFound", w: "wrongState" } as const;
type IdReceipt = (typeof receiptOf)[keyof typeof receiptOf];

export type MoveOptions = Parameters<Steering["move"]>[3];

export async function move(
  link: RedisLink,
  selection: MoveSelection,
  to: MoveTarget,
  by: Act,
  { limit, attempts = 1, cursor = "" }: MoveOptions,
  nowMs: number,
): Promise<MoveReceipt> {
  const { nowS, keep, beforeS } = statisticsOf(nowMs);
  const { queue } = selection;
  const callOf = (what: { ids: readonly string[] } | { state: string; group?: string | undefined }) =>
    moveCall(keysOf(queue), {
      nowS,
      nowMs,
      nowNs: `${nowMs}000000`,
      to,
      attempts,
      failure: failureText(archivedBy(by, nowMs)),
      maxCrashes,
      keep,
      beforeS,
      horizonMs: repeatHorizonMs,
      bucketMs,
      state: "state" in what ? what.state : "",
      group: ("state" in what ? what.group : undefined) ?? "",
      cursor,
      ids: "ids" in what ? JSON.stringify(what.ids.map((id) => id.toWellFormed())) : "[]",
      limit: Math.max(1, Math.min(limit, maxRows)),
      actor: by.actor,
      reason: by.reason,
      request: by.requestId,
    });

  if ("ids" in selection) return { receipts: await moveIds(link, selection, callOf) };
  // Nothing is where it already is, and what is active is its worker's.
  if (selection.state === to || selection.state === "active") return { moved: 0, skipped: 0, cursor: undefined };
  const [reply] = await link.run([callOf({ state: selection.state, group: selection.group })]);
  const [, moved, skipped, more] = answerOf(link, reply!, queue);
  return {
    moved: numberIn(link.label, moved),
    skipped: numberIn(link.label, skipped),
    cursor: textIn(link.label, more) || undefined,
  };
}

/** All in one trip, but for what a call leaves for the next one. */
async function moveIds(
  link: RedisLink,
  { queue, ids }: Extract<MoveSelection, { readonly ids: readonly string[] }>,
  callOf: (what: { ids: readonly string[] }) => ReturnType<typeof moveCall>,
): Promise<IdReceipt[]> {
  const receipts = Array.from<IdReceipt>({ length: ids.length });
  let left = ids.map((id, at) => ({ id, at }));
  while (left.length > 0) {
    const cut = portions(left, maxRows);
    const replies = await link.run(
      cut.map((batch) => callOf({ ids: batch.map(({ id }) => id) })),
      { taskIds: left.map(({ id }) => id) },
    );
    const failed: Failed[] = [];
    const again: typeof left = [];
    for (const [n, batch] of cut.entries()) {
      const reply = replies[n]!;
      if (reply instanceof LinkError) {
        failed.push({ error: reply, taskIds: batch.map(({ id }) => id) });
        continue;
      }
      const letters = textIn(link.label, answerOf(link, reply, queue)[0]);
      for (const [k, one] of batch.entries()) {
        const letter = letters.charAt(k);
        if (letter === "a") again.push(one);
        else receipts[one.at] = meaningOf(link.label, receiptOf, letter);
      }
    }
    throwFailed(
      link.label,
      failed,
      ids.filter((_, at) => receipts[at] === "moved"),
    );
    // Each call looks at one at the least.
    if (again.length === left.length) throw unreadable(link.label);
    left = again;
  }
  return receipts;
}

/** @throws BROKER_FAILED naming the key in the way */
function answerOf(link: RedisLink, reply: Reply, queue: string): readonly Reply[] {
  if (Buffer.isBuffer(reply)) throwProblems(link.label, [String(reply)]);
  const answer = listOf(link.label, reply);
  heed(link.label, answer[4], [queue]);
  return answer;
}

/** Two trips, for the names of all queues are on a server of their own in a Cluster. */
export async function setPaused(
  link: RedisLink,
  queues: readonly string[],
  paused: boolean,
  by: Act,
  nowMs: number,
): Promise<PauseReceipt[]> {
  const there = await existing(link, queues);
  const head = {
    nowS: floorToS(nowMs),
    nowMs,
    paused: paused ? 1 : 0,
    actor: by.actor,
    reason: by.reason,
    request: by.requestId,
  };
  const replies = await link.run(there.map((queue) => pauseCall([keysOf(queue)], head)));
  const answers = replies.map((reply) => listOf(link.label, reply)[0]!);
  throwProblems(link.label, answers.filter((answer) => Buffer.isBuffer(answer)).map(String));
  return queues.map((queue) => (!there.includes(queue) ? "notFound" : answers.shift() === 1 ? "changed" : "unchanged"));
}
