import { maxCrashes } from "../broker/broker.js";
import type { LeaseRequest, Turn, TurnReply } from "../broker/broker.js";
import { HoldfastError } from "../core/errors.js";
import { unavailable } from "./answers.js";
import { exchange } from "./exchange.js";
import { pausedKey, pendingKey, requestKey } from "./keys.js";
import type { RedisLink } from "./link.js";
import { Patience } from "./patience.js";
import { hostAndPort } from "./redis-url.js";
import { type Part, partsOf, Result } from "./spread-result.js";

/** Trips of one turn: to the first queue, and to those behind it that hold something. */
const maxTrips = 4;
/** How much later than others a node may answer: this part of a call's timeout. */
const patienceShare = 1 / 4;

interface Waiting {
  readonly queue: string;
  readonly count: number;
}

/**
 * Turns where each call takes one queue only, as in a Cluster: calls of the same trip go to their nodes at once. In the
 * first trip the first queue may give all that is asked for, while it is looked how much waits in the others; what is
 * left is then allotted to these, in their order. So the queues' order means what it means in one script, and a busy
 * worker needs one trip.
 *
 * A node that is away costs nobody else a task or a moment: its queues are passed over, and what was to be settled there
 * is `unavailable`. Only when no node answers, or a reply was lost with what it may have leased, does the turn fail: it is
 * to be sent again, and each queue that was leased from gives the same tasks.
 */
export class Spread {
  readonly #link: RedisLink;
  readonly #patienceMs: number;
  readonly #onFailed: (error: unknown) => void;
  /** Nodes that were silent when others had answered, until that call has ended. */
  readonly #late = new Map<string, number>();

  /** `onFailed` hears of what a turn does not tell its caller: of each call to a node that failed. */
  constructor(link: RedisLink, timeoutMs: number, onFailed: (error: unknown) => void) {
    this.#link = link;
    this.#onFailed = onFailed;
    this.#patienceMs = timeoutMs * patienceShare;
  }

  async exchange(turn: Turn, nowMs: number): Promise<TurnReply> {
    const { settle, lease } = turn;
    const asked = lease !== undefined && lease.limit > 0 ? [...new Set(lease.queues)] : [];
    const settlements = partsOf(settle);
    const everywhere = [...new Set([...asked, ...settlements.keys()])];
    if (everywhere.length === asked.length && asked.length <= 1) return exchange(this.#link, turn, nowMs);

    const places = await this.#placesOf(everywhere);
    const nodeOf = (queue: string) => places.get(queue) ?? queue;
    const isHere = (queue: string) => !this.#late.has(nodeOf(queue));
    const patience = new Patience(this.#patienceMs, this.#late, this.#onFailed);
    const result = new Result(this.#link, settle.length, patience, nodeOf);
    const queues = asked.filter(isHere);
    const [first] = queues;
    const firstTrip = new Set([...settlements.keys(), ...(first === undefined ? [] : [first])]);
    const parts = [...firstTrip].filter(isHere).map((queue): Part => {
      const { settle: own = [], at = [] } = settlements.get(queue) ?? {};
      return {
        queue,
        settle: own,
        at,
        lease: queue === first ? oneOf(lease!, queue, lease!.limit, lease!.suspects) : undefined,
      };
    });
    const [found] = await Promise.all([lookAt(queues, lease, result), result.collect(parts, nowMs)]);
    if (lease !== undefined) {
      const again = found.again
        .filter((queue) => queue !== first)
        .map((queue): Part => {
          return { queue, settle: [], at: [], lease: oneOf(lease, queue, lease.limit, lease.suspects) };
        });
      // What the first queue gives goes behind them, unless it gave that before, too.
      await result.collect(again, nowMs, { before: !found.again.includes(first!) });
      await leaseMore(lease, found.waiting, result, nowMs);
    }
    return result.reply(turn, nowMs);
  }

  /** Which node each queue is on; without a map of the Cluster each counts as if it were alone on its own. */
  async #placesOf(queues: readonly string[]): Promise<ReadonlyMap<string, string>> {
    const nodes = await this.#link.nodesOf(queues).catch(unavailable);
    if (nodes instanceof HoldfastError) return new Map();
    return new Map(queues.map((queue, n) => [queue, hostAndPort(nodes[n]!.address)]));
  }
}

/** From the queues behind the first. A crash suspect runs alone, so while one may come a queue is asked by itself. */
async function leaseMore(
  lease: LeaseRequest,
  waiting: readonly Waiting[],
  result: Result,
  nowMs: number,
): Promise<void> {
  let rest = waiting;
  for (let trip = 2; rest.length > 0 && trip <= maxTrips; trip++) {
    const { leased } = result;
    if (result.stuck || leased.some(({ crashes }) => crashes >= maxCrashes - 1)) return;
    const suspects = leased.length === 0 && trip === 2 ? lease.suspects : 0;
    const { limit, startable = limit } = lease;
    let left = (result.heldBack ? startable : limit) - leased.length;
    const parts: Part[] = [];
    for (const { queue, count } of suspects > 0 ? rest.slice(0, 1) : rest) {
      if (left <= 0) break;
      // One more than there is, so that the script comes to the queue's end and tells of it.
      const most = Math.min(left, count + 1);
      parts.push({ queue, settle: [], at: [], lease: oneOf(lease, queue, most, suspects, lease.limit - left) });
      left -= Math.min(left, count, lease.limits?.[queue] ?? left);
    }
    if (parts.length === 0) return;
    rest = rest.slice(parts.length);
    await result.collect(parts, nowMs);
  }
  if (result.leased.length < lease.limit && rest.length > 0) result.more = true;
}

/** `before`: how many others may have been leased already. */
function oneOf(lease: LeaseRequest, queue: string, limit: number, suspects: number, before = 0): LeaseRequest {
  const { startable } = lease;
  return {
    ...lease,
    queues: [queue],
    limit,
    suspects,
    ...(startable === undefined ? {} : { startable: Math.max(0, startable - before) }),
  };
}

interface Found {
  readonly again: readonly string[];
  readonly waiting: readonly Waiting[];
}

/** Which of the queues behind the first hold something, in their order, and which of all gave to this very request before. */
async function lookAt(queues: readonly string[], lease: LeaseRequest | undefined, result: Result): Promise<Found> {
  if (lease === undefined || queues.length <= 1) return { again: [], waiting: [] };
  const seen = await result.look(queues, (queue) => [
    { name: "LLEN", args: [pendingKey(queue)] },
    { name: "EXISTS", args: [pausedKey(queue)] },
    { name: "LINDEX", args: [requestKey(queue, lease.workerId), 0] },
  ]);
  const again: string[] = [];
  const waiting: Waiting[] = [];
  for (const [n, queue] of queues.entries()) {
    const replies = seen.get(queue);
    if (replies === undefined) continue;
    const [length, paused, request] = replies;
    if (Buffer.isBuffer(request) && String(request) === lease.requestId) again.push(queue);
    else if (n === 0) continue;
    else if (paused === 1) result.paused.add(queue);
    else if (length === 0) result.dry.add(queue);
    // What cannot be looked at is a list of another kind, which the script tells of, or on a node that is away.
    else if (typeof length === "number") waiting.push({ queue, count: length });
  }
  return { again, waiting };
}
