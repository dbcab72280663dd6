import { type LeaseRequest, minLeaseMs, type TaskRef } from "../broker/broker.js";
import { decodeMessage } from "../core/codec.js";
import { ceilToS, floorToS } from "../core/duration.js";
import type { Failure } from "../core/outcome.js";
import { type Leased, type LeasedRow, leasedAgain, rememberLeased, type SetAside } from "./lease-request.js";
import type { Sql } from "./sql.js";
import type { Tally } from "./tally.js";

interface Waiting {
  readonly id: string;
  readonly crashes: number;
  readonly returns: number;
  readonly at_most_once: number;
  readonly message: Uint8Array;
}

/** How far behind the crash suspects that may not be leased now one looks for other tasks. */
const beyondSuspects = 64;

export function lease(sql: Sql, request: LeaseRequest, nowMs: number, tally: Tally): Leased {
  const untilS = ceilToS(nowMs + Math.max(request.leaseMs, minLeaseMs));
  const again = leasedAgain(sql, request, untilS, nowMs);
  if (again !== undefined) return again;
  const leased: LeasedRow[] = [];
  const messages: Uint8Array[] = [];
  const setAside: SetAside[] = [];
  let suspects = request.suspects;
  for (const queue of request.queues) {
    if (leased.length >= request.limit) break;
    for (const { id, crashes, returns, at_most_once, message } of waiting(sql, queue, request.limit - leased.length)) {
      if (leased.length >= request.limit) break;
      const problem = problemOf(message);
      if (problem !== undefined) {
        archiveUndecodable(sql, { queue, id }, problem, nowMs, tally);
        setAside.push({ queue, id, problem });
        continue;
      }
      if (crashes > 0 && suspects === 0) continue;
      if (crashes > 0) suspects -= 1;
      sql("UPDATE task SET state = 'active', token = ?, rank = ? WHERE queue = ? AND id = ?").run(
        request.requestId,
        untilS,
        queue,
        id,
      );
      tally.moved(queue, "pending", "active");
      leased.push({ queue, id, untilMs: untilS * 1_000, crashes, returns, atMostOnce: at_most_once === 1 });
      messages.push(message);
    }
  }
  if (leased.length > 0) rememberLeased(sql, request, leased, nowMs);
  return { leased, messages, setAside, more: setAside.length > 0 && leased.length < request.limit };
}

/** The next tasks of a queue in order; more than `count` where crash suspects may have to be passed over. */
function waiting(sql: Sql, queue: string, count: number): Waiting[] {
  const open = sql("SELECT 1 FROM queue WHERE name = ? AND paused = 0").get(queue);
  if (open === undefined) return [];
  const next = sql(
    "SELECT id, crashes, returns, at_most_once, message FROM task WHERE queue = ? AND state = 'pending' ORDER BY rank LIMIT ?",
  );
  const rows = next.all(queue, count) as Waiting[];
  return rows.some(({ crashes }) => crashes > 0) ? (next.all(queue, count + beyondSuspects) as Waiting[]) : rows;
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
  const failure: Failure = {
    reason: "decode_error",
    class: "HoldfastError",
    message: problem,
    startedAtMs: nowMs,
    durationMs: 0,
  };
  sql("UPDATE task SET state = 'archived', rank = ?, failure = ? WHERE queue = ? AND id = ?").run(
    floorToS(nowMs),
    JSON.stringify(failure),
    queue,
    id,
  );
  tally.moved(queue, "pending", "archived");
  tally.processed(queue, true);
}
