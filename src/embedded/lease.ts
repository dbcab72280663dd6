import { type LeaseRequest, maxCrashes, minLeaseMs, type TaskRef } from "../broker/broker.js";
import { undecodable } from "../broker/failures.js";
import { decodeMessage } from "../core/codec.js";
import { ceilToS, floorToS } from "../core/duration.js";
import { type Leased, leasedAgain, nothingLeased, rememberLeased } from "./lease-request.js";
import { mustBeThere } from "./mend.js";
import type { Sql } from "./sql.js";
import type { Tally } from "./tally.js";

interface Waiting {
  readonly id: string;
  readonly rank: number;
  readonly crashes: number;
  readonly returns: number;
  readonly at_most_once: number;
  readonly message: Uint8Array;
}

/** How many crash suspects are looked at beyond those that may be leased: some are to be leased alone, and not now. */
const moreSuspects = 64;

export function lease(sql: Sql, request: LeaseRequest, nowMs: number, tally: Tally): Leased {
  const untilS = ceilToS(nowMs + Math.max(request.leaseMs, minLeaseMs));
  const again = leasedAgain(sql, request, untilS, nowMs);
  if (again !== undefined) return again;
  const { leased, messages, setAside, dry, paused } = nothingLeased();
  const { startable = request.limit } = request;
  let { limit, suspects } = request;
  let alone = false;
  let more = false;
  for (const queue of request.queues) {
    const count = Math.min(limit - leased.length, request.limits?.[queue] ?? limit);
    if (count <= 0 || alone) continue;
    if (isPaused(sql, queue)) {
      paused.push(queue);
      continue;
    }
    const most = leased.length + count;
    // Without a place for a suspect none is looked for.
    let passed = suspects === 0;
    const line = waiting(sql, queue, count, suspects);
    for (const { id, crashes, returns, at_most_once, message } of line) {
      if (leased.length >= Math.min(most, limit) || alone) break;
      const isLast = crashes >= maxCrashes - 1;
      if (crashes > 0 && (suspects === 0 || (isLast && leased.length > 0))) {
        passed = true;
        continue;
      }
      // These are not leased ahead: of a task that waited in a worker which died, nobody could say that it never ran.
      // Nor is anything else, from any queue: it would take the slots for which this one waits.
      if ((crashes > 0 || at_most_once === 1) && leased.length >= startable) {
        passed = true;
        limit = leased.length;
        break;
      }
      const problem = problemOf(message);
      if (problem !== undefined) {
        archiveUndecodable(sql, { queue, id }, problem, nowMs, tally);
        setAside.push({ queue, id, problem });
        // Those took the place of others in what was read.
        more ||= line.length >= count;
        continue;
      }
      const taken = sql("UPDATE task SET state = 'active', token = ?, rank = ? WHERE queue = ? AND id = ?");
      mustBeThere(taken.run(request.requestId, untilS, queue, id));
      if (crashes > 0) {
        suspects -= 1;
        // Nothing is leased ahead beside it.
        limit = Math.min(limit, startable);
      }
      alone = isLast;
      tally.moved(queue, "pending", "active");
      const atMostOnce = at_most_once === 1;
      leased.push({ queue, id, untilMs: untilS * 1_000, crashes, returns: Math.max(0, returns), atMostOnce });
      messages.push(message);
    }
    if (!passed && !alone && leased.length < Math.min(most, limit) && line.length < count) dry.push(queue);
  }
  if (leased.length > 0) rememberLeased(sql, request, leased, nowMs);
  return { leased, messages, setAside, more: more && !alone && leased.length < limit, dry, paused };
}

const isPaused = (sql: Sql, queue: string) =>
  sql("SELECT 1 FROM queue WHERE name = ? AND paused <> 0").get(queue) !== undefined;

/**
 * The next tasks of a queue in order. Crash suspects are read apart, each kind by an index of its own: however many of
 * them wait in front, the others are found at once. (SQLite would take the general index, and walk past them.)
 */
function waiting(sql: Sql, queue: string, count: number, suspects: number): Waiting[] {
  const columns = "id, rank, crashes, returns, at_most_once, message";
  const plain = sql(
    `SELECT ${columns} FROM task INDEXED BY task_in_line WHERE queue = ? AND state = 'pending' AND crashes = 0 ORDER BY rank LIMIT ?`,
  ).all(queue, count) as Waiting[];
  if (suspects === 0) return plain;
  const doubtful = sql(
    `SELECT ${columns} FROM task INDEXED BY suspect_in_line WHERE queue = ? AND state = 'pending' AND crashes > 0 ORDER BY rank LIMIT ?`,
  ).all(queue, Math.min(count, suspects) + moreSuspects) as Waiting[];
  return doubtful.length === 0 ? plain : [...plain, ...doubtful].toSorted((a, b) => a.rank - b.rank);
}

function problemOf(message: Uint8Array): string | undefined {
  try {
    decodeMessage(message);
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}

/** The bytes stay as they are: somebody may be able to read them. */
function archiveUndecodable(sql: Sql, { queue, id }: TaskRef, problem: string, nowMs: number, tally: Tally): void {
  const archived = sql("UPDATE task SET state = 'archived', rank = ?, failure = ? WHERE queue = ? AND id = ?");
  mustBeThere(archived.run(floorToS(nowMs), JSON.stringify(undecodable(problem, nowMs)), queue, id));
  tally.moved(queue, "pending", "archived");
  tally.processed(queue, true);
}
