import type { OutcomeCount } from "../broker/outcome-counts.js";
import { evictedKeysFrom, nodeIn } from "../core/evicted-keys.js";
import type { QueueInfo, StorageInfo } from "../core/info.js";
import { inTrips } from "../core/portions.js";
import { DeadLetters, type DeadLettersBroker } from "../deadletter/dead-letters.js";
import { growthOf } from "../inspector/growth.js";
import { type Facts, type GroupFacts, maxGroups, type QueueFacts, type ServerFacts } from "./facts.js";
import { type Oldest, OldestLetters } from "./oldest-letters.js";

/** Memory is estimated from samples of every queue: seldom enough to be nothing. */
const memoryEveryMs = 60_000;

/** What a monitor needs of a broker. */
export type MonitorBroker = DeadLettersBroker;

/** Groups are dearer than the rest: every so many looks will do. */
const looksPerGroups = 3;
/** Queues that are asked for in one trip: an answer must come in time, however many there are. */
const queuesPerTrip = 500;
/** A look costs a server about 0.1 ms a queue: the pause that follows keeps it at a twentieth of the server's time. */
const pausePerQueueMs = 2;
/** Queues of a group that alerts are told by, those with most of its dead letters. */
const mostGroupQueues = 50;
/** A type in a label. Ours are shorter; other programs may write any. */
const longestType = 256;

/**
 * Looks at storage for all who ask: one look at a time, and none sooner than `everyMs` after the last, or later where
 * there are thousands of queues. So a scrape costs storage nothing that alerts have not paid for, and both cost little.
 */
export class Poll {
  readonly #broker: MonitorBroker;
  readonly #everyMs: number;
  #underWay: Promise<Facts> | undefined;
  #last: Facts | undefined;
  #nextAtMs = Number.NEGATIVE_INFINITY;
  readonly #letters: DeadLetters;
  readonly #oldest = new OldestLetters(queuesPerTrip);
  #looks = 0;
  #groups: readonly GroupFacts[] | undefined;
  #memory: { readonly atMs: number; readonly bytes: ReadonlyMap<string, number> } | undefined;

  constructor(broker: MonitorBroker, everyMs: number) {
    this.#broker = broker;
    this.#letters = new DeadLetters(broker);
    this.#everyMs = everyMs;
  }

  /** @throws what the broker throws, where the last look is too old */
  async look(): Promise<Facts> {
    if (this.#last !== undefined && performance.now() < this.#nextAtMs) return this.#last;
    this.#underWay ??= this.#anew().finally(() => (this.#underWay = undefined));
    return this.#underWay;
  }

  async #anew(): Promise<Facts> {
    const nowMs = this.#broker.clock.nowMs();
    const [infos, workers, storage] = await Promise.all([
      this.#broker.queues(nowMs),
      this.#broker.workers(nowMs),
      this.#broker.storage(),
    ]);
    const names = infos.map(({ name }) => name);
    const { deadLetters } = this.#broker;
    const [memory, oldest, types, growth = []] = await Promise.all([
      this.#memoryOf(names),
      this.#oldestOf(infos, nowMs),
      deadLetters && inTrips(names, queuesPerTrip, (some) => deadLetters.outcomeCounts(some)),
      deadLetters && inTrips(infos, queuesPerTrip, (some) => growthOf(deadLetters, some, nowMs)),
    ]);
    if (this.#looks % looksPerGroups === 0) this.#groups = await this.#groupsNow();
    this.#looks += 1;
    const consumers = new Map<string, number>();
    for (const { queues, status } of workers) {
      if (status !== "active") continue;
      for (const queue of Object.keys(queues)) consumers.set(queue, (consumers.get(queue) ?? 0) + 1);
    }
    const queues = infos.map((info, n): QueueFacts => ({
      info,
      consumers: consumers.get(info.name) ?? 0,
      memoryBytes: memory.get(info.name),
      oldestLetter: oldest.get(info.name),
      headroom: growth[n]?.headroom,
      evicted: growth[n]?.evicted ?? {},
    }));
    const servers = serversOf(storage, nowMs);
    this.#last = { atMs: nowMs, queues, groups: this.#groups, types: types?.map(withShortType), servers };
    // A little early is fresh enough: a loop's pause is never exact.
    this.#nextAtMs = performance.now() + Math.max(this.#everyMs * 0.9, names.length * pausePerQueueMs);
    return this.#last;
  }

  async #oldestOf(infos: readonly QueueInfo[], nowMs: number): Promise<ReadonlyMap<string, Oldest | undefined>> {
    const none = infos
      .filter(({ counts }) => counts.archived === 0)
      .map(({ name }) => [name, { atMs: undefined, count: 0 }] as const);
    const some = infos.filter(({ counts }) => counts.archived > 0);
    const names = some.map(({ name }) => name);
    const { deadLetters } = this.#broker;
    const found =
      deadLetters === undefined
        ? some.map(({ earliestAtMs, counts }) => ({ atMs: earliestAtMs?.archived, count: counts.archived }))
        : await this.#oldest.look(deadLetters, names, nowMs);
    return new Map<string, Oldest | undefined>([...none, ...names.map((name, n) => [name, found[n]] as const)]);
  }

  /** To look at them brings them up to date, in bounded steps. */
  async #groupsNow(): Promise<GroupFacts[]> {
    const { groups } = await this.#letters.groups();
    return groups.slice(0, maxGroups).map((group) => ({
      fingerprint: group.fingerprint,
      type: (group.types[0] ?? "").slice(0, longestType),
      status: group.status,
      count: group.count,
      queues: group.queues.slice(0, mostGroupQueues).map(({ name }) => name),
      firstSeenMs: group.firstSeenAtMs,
      lastSeenMs: group.lastSeenAtMs,
    }));
  }

  async #memoryOf(names: readonly string[]): Promise<ReadonlyMap<string, number>> {
    if (this.#memory !== undefined && performance.now() - this.#memory.atMs < memoryEveryMs) return this.#memory.bytes;
    const bytes = await inTrips(names, queuesPerTrip, (some) => this.#broker.memory(some));
    this.#memory = { atMs: performance.now(), bytes: new Map(names.map((name, n) => [name, bytes[n] ?? 0])) };
    return this.#memory.bytes;
  }
}

const serversOf = ({ nodes }: StorageInfo, nowMs: number): ServerFacts[] =>
  nodes.flatMap(({ label, fields }) => {
    const evicted = evictedKeysFrom(fields, nowMs);
    return evicted === undefined ? [] : [{ node: nodeIn(label), evicted }];
  });

const withShortType = (one: OutcomeCount): OutcomeCount =>
  one.type.length <= longestType ? one : { ...one, type: one.type.slice(0, longestType) };
