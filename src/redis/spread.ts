import { maxCrashes } from "../broker/broker.js";
import type { LeasedTask, LeaseRequest, Settlement, SettleReceipt, Turn, TurnReply } from "../broker/broker.js";
import { HoldfastError } from "../core/errors.js";
import { exchange } from "./exchange.js";
import { pausedKey, pendingKey, requestKey } from "./keys.js";
import type { RedisLink, Reply } from "./link.js";

/** Trips of one turn: to the first queue, and to those behind it that hold something. */
const maxTrips = 4;

/** A queue's part of a turn: what it settles, and how much is leased from it. */
interface Part {
  readonly queue: string;
  readonly settle: readonly Settlement[];
  /** Where in the turn's list each of them stands. */
  readonly at: readonly number[];
  readonly lease: LeaseRequest | undefined;
}

interface Waiting {
  readonly queue: string;
  readonly count: number;
}

/**
 * A turn where each call takes one queue only, as a Cluster does: calls of the same trip go to their nodes at once. In
 * the first trip the first queue may give all that is asked for, while it is looked how much waits in the others; what
 * is left is then allotted to these, in their order. So the queues' order means what it means in one script, and a busy
 * worker needs one trip.
 *
 * A node that is away costs nobody else a task: from its queues nothing is leased. What it should have settled fails the
 * turn, which is to be sent again: then each queue that was leased from gives the same tasks.
 */
export async function spread(link: RedisLink, turn: Turn, nowMs: number): Promise<TurnReply> {
  const { settle, lease } = turn;
  const queues = lease !== undefined && lease.limit > 0 ? [...new Set(lease.queues)] : [];
  const settlements = partsOf(settle);
  const everywhere = new Set([...queues, ...settlements.keys()]);
  if (everywhere.size <= 1) return exchange(link, turn, nowMs);

  const result = new Result(link, settle.length);
  const [first] = queues;
  const firstTrip = new Set([...settlements.keys(), ...(first === undefined ? [] : [first])]);
  const parts = [...firstTrip].map((queue): Part => {
    const { settle: own = [], at = [] } = settlements.get(queue) ?? {};
    return {
      queue,
      settle: own,
      at,
      lease: queue === first ? oneOf(lease!, queue, lease!.limit, lease!.suspects) : undefined,
    };
  });
  const [found] = await Promise.all([lookAt(link, queues, lease, result), result.collect(parts, nowMs)]);
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

function partsOf(settle: readonly Settlement[]): Map<string, { settle: Settlement[]; at: number[] }> {
  const parts = new Map<string, { settle: Settlement[]; at: number[] }>();
  for (const [at, settlement] of settle.entries()) {
    const { queue } = settlement.task.lease;
    const part = parts.get(queue);
    if (part === undefined) parts.set(queue, { settle: [settlement], at: [at] });
    else {
      part.settle.push(settlement);
      part.at.push(at);
    }
  }
  return parts;
}

/** Which of the queues behind the first hold something, in their order, and which of all gave to this very request before. */
async function lookAt(
  link: RedisLink,
  queues: readonly string[],
  lease: LeaseRequest | undefined,
  result: Result,
): Promise<{ readonly again: readonly string[]; readonly waiting: readonly Waiting[] }> {
  if (lease === undefined || queues.length <= 1) return { again: [], waiting: [] };
  const replies = await link
    .run(
      queues.flatMap((queue) => [
        { name: "LLEN", args: [pendingKey(queue)] },
        { name: "EXISTS", args: [pausedKey(queue)] },
        { name: "LINDEX", args: [requestKey(queue, lease.workerId), 0] },
      ]),
      { insist: false },
    )
    .catch(unavailable);
  if (replies instanceof HoldfastError) return { again: [], waiting: [] };
  const again: string[] = [];
  const waiting: Waiting[] = [];
  for (const [n, queue] of queues.entries()) {
    const [length, paused, request] = replies.slice(n * 3, n * 3 + 3) as [Reply, Reply, Reply];
    if (Buffer.isBuffer(request) && String(request) === lease.requestId) again.push(queue);
    else if (n === 0) continue;
    else if (paused === 1) result.paused.add(queue);
    else if (length === 0) result.dry.add(queue);
    // What cannot be looked at is a list of another kind, which the script tells of, or on a node that is away.
    else if (typeof length === "number") waiting.push({ queue, count: length });
  }
  return { again, waiting };
}

function unavailable(error: unknown): HoldfastError<"BROKER_UNAVAILABLE"> {
  if (HoldfastError.is(error, "BROKER_UNAVAILABLE")) return error;
  throw error;
}

/** What the queues' parts came to. */
class Result {
  readonly leased: LeasedTask[] = [];
  readonly dry = new Set<string>();
  readonly paused = new Set<string>();
  more = false;
  /** A queue gave less than was asked for, though it is not at its end: what is next there may not be leased ahead. */
  heldBack = false;
  readonly #link: RedisLink;
  readonly #settled: (SettleReceipt | undefined)[];
  readonly #failed: { readonly part: Part; readonly error: Error }[] = [];

  constructor(link: RedisLink, settlements: number) {
    this.#link = link;
    this.#settled = Array.from({ length: settlements });
  }

  /** It will end in an error: nothing more is to be leased. */
  get stuck(): boolean {
    return this.#failed.some(({ part, error }) => matters(part, error));
  }

  /** `before`: what they give goes before what has come already. */
  async collect(parts: readonly Part[], nowMs: number, { before = false } = {}): Promise<void> {
    const given: LeasedTask[] = [];
    const impatient = { label: this.#link.label, run: this.#run };
    const answers = await Promise.allSettled(parts.map((part) => exchange(impatient, part, nowMs)));
    for (const [n, answer] of answers.entries()) {
      const part = parts[n]!;
      if (answer.status === "rejected") {
        this.#failed.push({ part, error: answer.reason as Error });
        continue;
      }
      const { settled, leased, more, dry, paused } = answer.value;
      for (const [k, receipt] of settled.entries()) this.#settled[part.at[k]!] = receipt;
      given.push(...leased);
      for (const queue of dry) this.dry.add(queue);
      for (const queue of paused) this.paused.add(queue);
      this.more ||= more;
      const { limit = 0, limits = {} } = part.lease ?? {};
      const over = more || dry.length + paused.length > 0;
      this.heldBack ||= !over && leased.length < Math.min(limit, limits[part.queue] ?? limit);
    }
    if (before) this.leased.unshift(...given);
    else this.leased.push(...given);
  }

  /** @throws the error of a part that matters */
  async reply({ settle, lease }: Turn, nowMs: number): Promise<TurnReply> {
    const { leased, more } = this;
    const failed = this.#failed.filter(({ part, error }) => matters(part, error));
    const done = settle.filter((_, at) => this.#settled[at] !== undefined);
    // Where nothing was done at all, an error costs nobody anything.
    const idle = leased.length + done.length === 0;
    const told = failed.length > 0 ? failed : idle ? this.#failed : [];
    if (told.length === 0) {
      // A queue may have given one that has just come, or again all it gave to the same request before.
      const surplus = lease === undefined ? [] : leased.splice(lease.limit);
      await this.#release(surplus, nowMs);
      const amongAll = (some: ReadonlySet<string>) => lease?.queues.filter((queue) => some.has(queue)) ?? [];
      return {
        settled: this.#settled as SettleReceipt[],
        leased,
        more: more || surplus.length > 0,
        dry: amongAll(this.dry),
        paused: amongAll(this.paused),
      };
    }
    const away = told.filter(({ error }) => HoldfastError.is(error, "BROKER_UNAVAILABLE"));
    const hopeless = told.find(({ error }) => !HoldfastError.is(error, "BROKER_UNAVAILABLE"));
    if (hopeless !== undefined) {
      // It will not be sent again as it is, and the error would not tell what was leased.
      await this.#release(leased, nowMs);
      throw hopeless.error;
    }
    const errors = away.map(({ error }) => error as HoldfastError<"BROKER_UNAVAILABLE">);
    const unsure = errors.find(({ data }) => data.outcome === "unknown");
    const { problem, outcome } = (unsure ?? errors[0]!).data;
    const ids = (some: readonly Settlement[]) => some.map(({ task }) => task.lease.id);
    throw new HoldfastError("BROKER_UNAVAILABLE", {
      broker: this.#link.label,
      problem,
      outcome: idle ? outcome : "unknown",
      taskIds: [...ids(done), ...away.flatMap(({ part }) => ids(part.settle))],
    });
  }

  /** One queue's node may be away while the others' tasks wait to be started. */
  readonly #run: RedisLink["run"] = (calls, options) => this.#link.run(calls, { ...options, insist: false });

  async #release(leased: readonly LeasedTask[], nowMs: number): Promise<void> {
    for (const { settle } of partsOf(
      leased.map((task) => ({ task, outcome: { kind: "released", unstarted: true } })),
    ).values()) {
      // What cannot be given back now comes back when its lease ends.
      await exchange({ label: this.#link.label, run: this.#run }, { settle }, nowMs).catch(() => undefined);
    }
  }
}

/** A receipt is owed, or tasks may have been leased: then the same request has to come again. */
function matters({ settle }: Part, error: Error): boolean {
  return settle.length > 0 || (HoldfastError.is(error, "BROKER_UNAVAILABLE") && error.data.outcome === "unknown");
}
