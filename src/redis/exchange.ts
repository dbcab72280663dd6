import { isUtf8 } from "node:buffer";
import { archiveKeep, archiveKeepMs, maxCrashes, minLeaseMs } from "../broker/broker.js";
import type { LeasedTask, LeaseRequest, Settlement, SettleReceipt, Turn, TurnReply } from "../broker/broker.js";
import { failureText, undecodable } from "../broker/failures.js";
import { messageAfter } from "../broker/settled.js";
import { decodeMessage, encodeMessage } from "../core/codec.js";
import { ceilToS, floorToS } from "../core/duration.js";
import { HoldfastError } from "../core/errors.js";
import { tellBroker } from "../core/telemetry.js";
import {
  countOf,
  type Failed,
  heed,
  listOf,
  outcomeOf,
  queueIn,
  textIn,
  throwFailed,
  throwProblems,
  unreadable,
} from "./answers.js";
import { batches, maxBytes, maxRows } from "./batches.js";
import { bucketOf, rememberedIn } from "./done-ids.js";
import { keysOf } from "./keys.js";
import { type Caller, LinkError, type Reply, type ScriptCall } from "./link.js";
import { type ExchangeHead, type ExchangeRow, exchange as exchangeCall } from "./scripts.gen.js";

type Row = ExchangeRow & { readonly message: Uint8Array | ""; readonly detail: Uint8Array | string };
/** A row that does not know yet which of its call's queues is its own. */
type PlacelessRow = Omit<Row, "number"> & { readonly queue: string };

/** Settle, in as many calls as the bounds ask for; the last of them leases. All in one trip. */
export async function exchange(link: Caller, { settle, lease }: Turn, nowMs: number): Promise<TurnReply> {
  const rows = settle.map((settlement) => rowOf(settlement, nowMs));
  // The last batch goes first: each puts what it releases in front of the line, so the first released end up foremost.
  const cut = [...batches(rows, (row) => row.message.length + row.detail.length)].toReversed();
  const leasing = lease !== undefined && lease.limit > 0;
  if (cut.length === 0 && leasing) cut.push([]);
  const calls = cut.map((batch, n) => callOf(batch, leasing && n === cut.length - 1 ? lease : undefined, nowMs));
  const replies = await link.run(
    calls.map(({ call }) => call),
    { taskIds: settle.map(({ task }) => task.lease.id) },
  );

  const settled: SettleReceipt[] = [];
  const failed: Failed[] = [];
  const done: string[] = [];
  const problems: string[] = [];
  let unwritten = false;
  let leased: LeasedTask[] = [];
  let more = false;
  let dry: string[] = [];
  let paused: string[] = [];
  for (const [n, { queues, order }] of calls.entries()) {
    const reply = replies[n]!;
    if (reply instanceof LinkError) {
      failed.push({ error: reply, taskIds: idsOf(cut[n]!) });
      continue;
    }
    done.push(...idsOf(cut[n]!));
    const [receipts, notes, moreThere, dryThere, pausedThere, ...stored] = listOf(link.label, reply);
    problems.push(...heed(link.label, notes, queues));
    const letters = textIn(link.label, receipts);
    if (letters.length !== order.length || !/^[slbw]*$/.test(letters)) throw unreadable(link.label);
    unwritten ||= letters.includes("w");
    settled.unshift(...order.map((at) => (letters[at] === "s" ? "settled" : "leaseLost") as SettleReceipt));
    more ||= moreThere === 1;
    dry = namesOf(dryThere, queues);
    paused = namesOf(pausedThere, queues);
    const given = storedTasks(link.label, stored, queues);
    if (given.length > 0) {
      if (lease === undefined) throw unreadable(link.label);
      leased = await decoded(link, given, lease, nowMs);
      // As many as one call gives at the most, or as were asked for and some of no use.
      more ||= given.length === Math.min(lease.limit, maxRows) && leased.length < lease.limit;
    }
  }
  const hopeless = unwritten || failed.some((one) => outcomeOf(one) === "failed");
  if (hopeless && leased.length > 0) {
    // What another call of this trip leased, or this turn when it came before: an error would not tell of it.
    await exchange(
      link,
      { settle: leased.map((task) => ({ task, outcome: { kind: "released", unstarted: true } })) },
      nowMs,
    );
  }
  throwFailed(link.label, failed, done);
  // A queue that cannot be leased from is worth an error only where that costs nobody a task or a receipt.
  if (unwritten || leased.length + settled.length === 0) throwProblems(link.label, problems);
  return { settled, leased, more, dry, paused };
}

/** Queues by their numbers, which come with commas. */
const namesOf = (numbers: Reply | undefined, queues: readonly string[]): string[] =>
  String(numbers)
    .split(",")
    .flatMap((number) => queues[Number(number) - 1] ?? []);

const idsOf = (rows: readonly PlacelessRow[]) => rows.map(({ id }) => String(id));

/** The call, its queues by number, and for each of `rows` which of the reply's receipts is its own. */
function callOf(rows: readonly PlacelessRow[], lease: LeaseRequest | undefined, nowMs: number) {
  const queues = lease === undefined ? [] : [...lease.queues];
  const numbers = new Map(queues.map((queue, n) => [queue, n + 1]));
  for (const { queue } of rows) if (!numbers.has(queue)) numbers.set(queue, queues.push(queue));
  // Groups go before rows: of a task that is there twice, which no worker sends, the first would no longer count.
  const grouped = rows.every(isPlain) || !hasTwice(rows) ? isPlain : () => false;
  const plain = rows.filter(grouped);
  const others = rows
    .filter((row) => !grouped(row))
    .map((row) => Object.assign(row, { number: numbers.get(row.queue)! }));
  let plains = 0;
  let rest = plain.length;
  const order = rows.map((row) => (grouped(row) ? plains++ : rest++));
  const goneGroups = JSON.stringify(groupsOf(plain, numbers));
  const call: ScriptCall = exchangeCall(queues.map(keysOf), headOf(lease, goneGroups, nowMs), others);
  return { call, queues, order };
}

/** Deleted without a lock to release: nothing more is to be said of it than which it is. */
const isPlain = ({ move, lock }: PlacelessRow) => move === "gone" && lock === "";

const hasTwice = (rows: readonly PlacelessRow[]) =>
  new Set(rows.map(({ queue, id }) => `${queue} ${String(id)}`)).size < rows.length;

type Group = readonly [number: number, held: string, made: string, ids: string[]];

/** Neighbours that were leased together mostly share all but their ids. */
function groupsOf(rows: readonly PlacelessRow[], numbers: ReadonlyMap<string, number>): Group[] {
  const groups: Group[] = [];
  for (const row of rows) {
    const number = numbers.get(row.queue)!;
    const made = String(row.made);
    const held = String(row.held);
    const last = groups.at(-1);
    if (last?.[0] === number && last[1] === held && last[2] === made) last[3].push(String(row.id));
    else groups.push([number, held, made, [String(row.id)]]);
  }
  return groups;
}

function headOf(lease: LeaseRequest | undefined, goneGroups: string, nowMs: number): ExchangeHead {
  return {
    nowNs: `${nowMs}000000`,
    bucket: bucketOf(nowMs),
    worker: lease?.workerId ?? "",
    token: lease?.requestId ?? "",
    untilS: lease === undefined ? 0 : untilS(lease, nowMs),
    limit: Math.min(lease?.limit ?? 0, maxRows),
    startable: Math.min(lease?.startable ?? maxRows, maxRows),
    limits: lease?.limits === undefined ? "" : limitsOf(lease),
    suspects: lease?.suspects ?? 0,
    maxCrashes,
    leaseQueues: lease?.queues.length ?? 0,
    maxBytes,
    goneGroups,
    // At the end: V8 takes microseconds for each property that follows a spread.
    ...statisticsOf(nowMs),
  };
}

const limitsOf = ({ queues, limits }: LeaseRequest) =>
  JSON.stringify(queues.map((queue) => limits?.[queue] ?? maxRows));

const untilS = ({ leaseMs }: LeaseRequest, nowMs: number) => ceilToS(nowMs + Math.max(leaseMs, minLeaseMs));

let lastDay = { number: -1, name: "" };

/** The UTC day, as asynq writes it: made once a day, for it is asked for with each turn. */
function dayOf(nowMs: number): string {
  const number = Math.floor(nowMs / 86_400_000);
  if (number !== lastDay.number) lastDay = { number, name: new Date(nowMs).toISOString().slice(0, 10) };
  return lastDay.name;
}

/** What scripts that count and archive are told: asynq's UTC day, its 90 days, and the bounds of its archive. */
export function statisticsOf(nowMs: number) {
  return {
    nowS: floorToS(nowMs),
    day: dayOf(nowMs),
    keepUntilS: floorToS(nowMs) + 90 * 86_400,
    keep: archiveKeep,
    beforeS: floorToS(nowMs - archiveKeepMs),
  };
}

function rowOf({ task, outcome }: Settlement, nowMs: number): PlacelessRow {
  const { message, lease } = task;
  const after = messageAfter(message, outcome, nowMs);
  const row: PlacelessRow = {
    queue: lease.queue,
    id: lease.id,
    held: lease.token,
    move: "gone",
    message: after === undefined ? "" : encodeMessage(after),
    score: 0,
    lock: message.uniqueKey,
    detail: "",
    made: "",
  };
  switch (outcome.kind) {
    case "revoked":
      return Object.assign(row, { made: rememberedIn(lease.id, nowMs, task.spooled) });
    case "completed": {
      if (after === undefined) return Object.assign(row, { made: rememberedIn(lease.id, nowMs, task.spooled) });
      const score = floorToS(nowMs) + ceilToS(message.retentionMs);
      return Object.assign(row, { move: "completed", score, detail: outcome.result ?? "" });
    }
    case "retry": {
      const move = outcome.counts ? "retry" : "returned";
      return Object.assign(row, {
        move,
        score: ceilToS(outcome.atMs),
        lock: "",
        detail: failureText(outcome.failure),
      });
    }
    case "archived":
      return Object.assign(row, {
        move: "archived",
        score: floorToS(nowMs),
        lock: "",
        detail: failureText(outcome.failure),
      });
    case "released":
      return Object.assign(row, { move: "released", lock: "", detail: outcome.unstarted === true ? "" : "started" });
  }
}

interface StoredTask {
  readonly queue: string;
  readonly id: Buffer;
  readonly message: Buffer;
  crashes: number;
  returns: number;
  atMostOnce: boolean;
  spooled: number;
}

/** What the script wrote as sizes, bytes and the rest. */
function storedTasks(broker: string, [sizes, bytes, rest]: readonly Reply[], queues: readonly string[]): StoredTask[] {
  const tasks: StoredTask[] = [];
  const text = sizes === undefined ? "" : textIn(broker, sizes);
  if (text === "") return tasks;
  if (!Buffer.isBuffer(bytes) || !/^\d+( \d+ \d+ \d+)* \d+ \d+$/.test(text)) throw unreadable(broker);
  const numbers = text.split(" ");
  let at = 0;
  for (let n = 0; n < numbers.length; n += 3) {
    const middle = at + Number(numbers[n + 1]);
    const end = middle + Number(numbers[n + 2]);
    const id = bytes.subarray(at, middle);
    const message = bytes.subarray(middle, end);
    if (end > bytes.length) throw unreadable(broker);
    const queue = queueIn(broker, queues, Number(numbers[n]));
    tasks.push({ queue, id, message, crashes: 0, returns: 0, atMostOnce: false, spooled: 0 });
    at = end;
  }
  const more = listOf(broker, rest);
  for (let n = 0; n < more.length; n += 5) {
    const [which, crashes, returns, once, spooled] = more.slice(n, n + 5).map(String);
    const task = tasks[Number(which)];
    if (task === undefined) throw unreadable(broker);
    Object.assign(task, {
      crashes: countOf(crashes),
      returns: countOf(returns),
      atMostOnce: once === "1",
      spooled: countOf(spooled) * 1_000,
    });
  }
  return tasks;
}

/** Leased tasks; one whose message cannot be decoded is archived as it is, and spoils nothing for the others. */
async function decoded(
  link: Caller,
  stored: readonly StoredTask[],
  request: LeaseRequest,
  nowMs: number,
): Promise<LeasedTask[]> {
  const { requestId } = request;
  const untilMs = untilS(request, nowMs) * 1_000;
  const leased: LeasedTask[] = [];
  const broken: PlacelessRow[] = [];
  for (const { queue, id, message, ...how } of stored) {
    try {
      if (!isUtf8(id)) throw new HoldfastError("MESSAGE_INVALID", { problem: "its id is not valid UTF-8", offset: 0 });
      const lease = { queue, id: String(id), token: requestId, untilMs };
      leased.push({ message: decodeMessage(message), lease, ...how });
    } catch (error) {
      if (!HoldfastError.is(error, "MESSAGE_INVALID")) throw error;
      const failure = undecodable(error.message, nowMs);
      broken.push({
        queue,
        id,
        held: requestId,
        move: "archived",
        message: "",
        score: floorToS(nowMs),
        lock: "",
        detail: failureText(failure),
        made: "",
      });
      tellBroker({ event: "setAside", broker: link.label, queue, id: String(id), problem: failure.message });
    }
  }
  // When this fails, their leases run out like any other, and they come here again.
  if (broken.length > 0) await link.run([callOf(broken, undefined, nowMs).call]).catch(() => undefined);
  return leased;
}
