import type { Broker } from "../broker/broker.js";
import { growthOf } from "../inspector/growth.js";
import { type Facts, type QueueFacts } from "./facts.js";

/** Memory is estimated from samples of every queue: seldom enough to be nothing. */
const memoryEveryMs = 60_000;

/** What a monitor needs of a broker. */
export type MonitorBroker = Pick<Broker, "label" | "clock" | "queues" | "workers" | "memory" | "deadLetters">;

/**
 * Looks at storage for all who ask: one look at a time, and none sooner than `everyMs` after the last. So a scrape costs
 * storage nothing that alerts have not paid for.
 */
export class Poll {
  readonly #broker: MonitorBroker;
  readonly #everyMs: number;
  #underWay: Promise<Facts> | undefined;
  #last: Facts | undefined;
  #lastAtMs = Number.NEGATIVE_INFINITY;
  #memory: { readonly atMs: number; readonly bytes: ReadonlyMap<string, number> } | undefined;

  constructor(broker: MonitorBroker, everyMs: number) {
    this.#broker = broker;
    this.#everyMs = everyMs;
  }

  /** @throws what the broker throws, where the last look is too old */
  async look(): Promise<Facts> {
    // A little early is fresh enough: a loop's pause is never exact.
    if (this.#last !== undefined && performance.now() - this.#lastAtMs < this.#everyMs * 0.9) return this.#last;
    this.#underWay ??= this.#anew().finally(() => (this.#underWay = undefined));
    return this.#underWay;
  }

  async #anew(): Promise<Facts> {
    const nowMs = this.#broker.clock.nowMs();
    const [infos, workers] = await Promise.all([this.#broker.queues(nowMs), this.#broker.workers(nowMs)]);
    const names = infos.map(({ name }) => name);
    const { deadLetters } = this.#broker;
    const [memory, types, growth = []] = await Promise.all([
      this.#memoryOf(names),
      deadLetters?.outcomeCounts(names),
      deadLetters === undefined ? undefined : growthOf(deadLetters, infos, nowMs),
    ]);
    const consumers = new Map<string, number>();
    for (const { queues, status } of workers) {
      if (status !== "active") continue;
      for (const queue of Object.keys(queues)) consumers.set(queue, (consumers.get(queue) ?? 0) + 1);
    }
    const queues = infos.map((info, n): QueueFacts => ({
      info,
      consumers: consumers.get(info.name) ?? 0,
      memoryBytes: memory.get(info.name),
      headroom: growth[n]?.headroom,
      evicted: growth[n]?.evicted ?? {},
    }));
    this.#last = { atMs: nowMs, queues, groups: undefined, types };
    this.#lastAtMs = performance.now();
    return this.#last;
  }

  async #memoryOf(names: readonly string[]): Promise<ReadonlyMap<string, number>> {
    if (this.#memory !== undefined && performance.now() - this.#memory.atMs < memoryEveryMs) return this.#memory.bytes;
    const bytes = await this.#broker.memory(names);
    this.#memory = { atMs: performance.now(), bytes: new Map(names.map((name, n) => [name, bytes[n] ?? 0])) };
    return this.#memory.bytes;
  }
}
