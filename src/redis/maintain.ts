import { foreignGraceMs, maxCrashes, repeatHorizonMs, type Promotion, type ReclaimReceipt } from "../broker/broker.js";
import { crashedAtMostOnce, failureText, quarantined } from "../broker/failures.js";
import { decodeMessage, encodeMessage } from "../core/codec.js";
import { floorToS } from "../core/duration.js";
import type { Failure } from "../core/outcome.js";
import { heed, listOf, meaningOf, numberIn, queueIn, textIn, throwProblems, timeOf } from "./answers.js";
import { maxRows } from "./batches.js";
import { bucketMs } from "./done-ids.js";
import { statisticsOf } from "./exchange.js";
import { keysOf } from "./keys.js";
import type { Caller, Reply, ScriptCall } from "./link.js";
import { promote as promoteCall, prune as pruneCall, reclaim as reclaimCall } from "./scripts.gen.js";

// A queue that cannot be worked on is worth an error only when nothing was done in the others, for with an error what was
// done there would not be told. Callers call again, so it comes to that soon.

const reclaimedTo = { pending: "pending", archived: "archived" } as const;

export async function reclaim(
  link: Caller,
  queues: readonly string[],
  limit: number,
  nowMs: number,
): Promise<ReclaimReceipt[]> {
  const thrice = quarantined(maxCrashes, nowMs);
  const once = crashedAtMostOnce(nowMs);
  const head = {
    nowNs: `${nowMs}000000`,
    limit: Math.min(limit, maxRows),
    maxCrashes,
    graceS: foreignGraceMs / 1_000,
    quarantined: failureText(thrice),
    quarantinedBytes: lastWords(thrice, nowMs),
    once: failureText(once),
    onceBytes: lastWords(once, nowMs),
    ...statisticsOf(nowMs),
  };
  const [notes, ...flat] = await answer(link, reclaimCall(queues.map(keysOf), head));
  const receipts: ReclaimReceipt[] = [];
  for (let n = 0; n < flat.length; n += 4) {
    const [number, id, to, crashes] = flat.slice(n, n + 4);
    receipts.push({
      queue: queueIn(link.label, queues, number),
      id: textIn(link.label, id),
      to: meaningOf(link.label, reclaimedTo, String(to)),
      crashes: numberIn(link.label, crashes),
    });
  }
  const problems = heed(link.label, notes, queues);
  if (receipts.length === 0) throwProblems(link.label, problems);
  return receipts;
}

export async function promote(
  link: Caller,
  queues: readonly string[],
  limit: number,
  nowMs: number,
): Promise<Promotion> {
  const head = { nowS: floorToS(nowMs), nowNs: `${nowMs}000000`, limit: Math.min(limit, maxRows) };
  const [count, next, notes] = await answer(link, promoteCall(queues.map(keysOf), head));
  const moved = numberIn(link.label, count);
  const problems = heed(link.label, notes, queues);
  if (moved === 0) throwProblems(link.label, problems);
  const nextS = textIn(link.label, next);
  return { moved, nextDueMs: nextS === "" ? undefined : timeOf(nextS) };
}

export async function prune(link: Caller, queues: readonly string[], limit: number, nowMs: number): Promise<number> {
  const { nowS, keep, beforeS } = statisticsOf(nowMs);
  const head = {
    nowS,
    nowMs,
    keep,
    beforeS,
    limit: Math.min(limit, maxRows),
    horizonMs: repeatHorizonMs,
    bucketMs,
  };
  const [number, notes] = await answer(link, pruneCall(queues.map(keysOf), head));
  const count = numberIn(link.label, number);
  const problems = heed(link.label, notes, queues);
  if (count === 0) throwProblems(link.label, problems);
  return count;
}

async function answer(link: Caller, call: ScriptCall): Promise<readonly Reply[]> {
  const [reply] = await link.run([call]);
  return listOf(link.label, reply);
}

/**
 * Error and time of failure as bytes to append to a stored message, so that the script need not decode it: of a
 * repeated protobuf field the last one counts.
 */
function lastWords(failure: Failure, nowMs: number): Uint8Array {
  return encodeMessage({ ...nothing, lastError: failure.message, lastFailedAtMs: floorToS(nowMs) * 1_000 });
}

/** No bytes are a message, too: one in which every field is what it is when it is not there. */
const nothing = decodeMessage(new Uint8Array(0));
