import { storedJson } from "../core/stored-json.js";
import type { LeasedTask, Settlement } from "../broker/broker.js";
import { failureText } from "../broker/failures.js";
import { standingMark, storedCopies, storedMark } from "../broker/stored-marks.js";
import { messageAfter } from "../broker/settled.js";
import { toldOf } from "../broker/told.js";
import { decodeMessage, encodeMessage } from "../core/codec.js";
import { floorToS } from "../core/duration.js";
import type { TaskInfo } from "../core/info.js";
import type { NewTask } from "../core/message.js";
import { readable } from "../core/protobuf.js";
import type { EnqueueCall, NewRow } from "./enqueue.js";
import type { ExchangeReply } from "./exchange.js";
import { type InfoRow, timeOf } from "./look.js";
import { pack, type Packed, unpack } from "./packed.js";
import { inParts } from "./parts.js";
import type { SettleRow } from "./settle.js";

/** What the contract speaks of, as rows and bytes for the store's thread, and back. */

export function enqueueCalls(tasks: readonly NewTask[], nowMs: number): EnqueueCall[] {
  return inParts(tasks).map((part) => ({
    rows: part.map(newRow),
    messages: pack(part.map(({ message }) => encodeMessage(message))),
    nowMs,
  }));
}

function newRow({ message, processAtMs, uniqueForMs, atMostOnce, repeat }: NewTask): NewRow {
  const { queue, id, uniqueKey } = message;
  return { queue, id, processAtMs, uniqueKey, uniqueForMs, atMostOnce, repeat };
}

export function settleRows(settlements: readonly Settlement[], nowMs: number): { rows: SettleRow[]; messages: Packed } {
  const messages = settlements.map(({ task, outcome }) => {
    const message = messageAfter(task.message, outcome, nowMs);
    return message === undefined ? undefined : encodeMessage(message);
  });
  return { rows: settlements.map((settlement) => settleRow(settlement, nowMs)), messages: pack(messages) };
}

function settleRow({ task: { lease, message }, outcome }: Settlement, nowMs: number): SettleRow {
  const { queue, id, token } = lease;
  const row = {
    queue,
    id,
    token,
    dueMs: 0,
    failed: false,
    unstarted: false,
    uniqueKey: message.uniqueKey,
    failure: undefined,
    result: undefined,
  };
  switch (outcome.kind) {
    case "completed":
      if (message.retentionMs === 0) return { ...row, to: "gone" };
      // From the second on that the message will say it was completed, as asynq has it.
      return { ...row, to: "completed", dueMs: floorToS(nowMs) * 1_000 + message.retentionMs, result: outcome.result };
    case "revoked":
      return { ...row, to: "gone" };
    case "retry":
      return {
        ...row,
        to: "retry",
        dueMs: outcome.atMs,
        failed: outcome.counts,
        failure: failureText(outcome.failure),
      };
    case "archived":
      return { ...row, to: "archived", failed: true, failure: failureText(outcome.failure) };
    case "released":
      return { ...row, to: "pending", unstarted: outcome.unstarted === true };
  }
  outcome satisfies never;
}

export function leasedTasks({ leased, messages }: ExchangeReply, token: string): LeasedTask[] {
  const bytes = unpack(messages);
  return leased.map(({ queue, id, untilMs, crashes, returns, atMostOnce }, index) => ({
    message: decodeMessage(bytes[index]!),
    lease: { queue, id, token, untilMs },
    crashes,
    returns,
    atMostOnce,
  }));
}

export function taskInfo(row: InfoRow): TaskInfo {
  const { id, queue, state, rank, crashes, failure, history, result, progress } = row;
  const dueAtMs =
    state === "scheduled" || state === "retry" || state === "completed" ? timeOf(rank * 1_000) : undefined;
  const archivedAtMs = state === "archived" ? timeOf(rank * 1_000) : undefined;
  // Where it cannot be decoded, the bytes are told as they are, and the failure says what is wrong with them.
  const message = readable(decodeMessage, row.message);
  const stored = { state, message, archivedAtMs, failure: failure ?? undefined, history: history ?? undefined };
  const { history: earlier, ...told } = toldOf(id, stored);
  return {
    id,
    queue,
    state,
    message,
    bytes: row.message,
    dueAtMs,
    archivedAtMs,
    result: result ?? undefined,
    ...told,
    ...(history === undefined ? {} : { history: earlier }),
    progress: storedJson(progress),
    crashes: Math.max(0, crashes),
    acknowledged: standingMark(row.ack, archivedAtMs),
    restored: storedMark(row.restored),
    copies: storedCopies(row.copies),
    quarantined: storedMark(row.quarantine),
  };
}
