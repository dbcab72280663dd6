import type { Gauging } from "../broker/broker.js";
import { HoldfastError } from "../core/errors.js";

/** Each queue is looked at no more often than this. */
const lookEveryMs = 250;
/** A look that takes longer, or does not get through, tells nothing: whoever enqueues goes on, and hears from storage itself. */
const lookWithinMs = 1_000;
/** More queues than these are not remembered: a program may make a queue for each of its users. */
const maxQueues = 10_000;

interface Depth {
  /** What the last look told, that is over; undefined when it told nothing. */
  pending: number | undefined;
  /** Enqueued here since that look began. */
  added: number;
  /** Enqueued here since the look under way began. */
  addedSince: number;
  lookedAtMs: number;
  look: Promise<void> | undefined;
}

/** About how many tasks are pending in each queue: an occasional look, and what this process has added since. */
export class Depths {
  readonly #broker: Gauging;
  readonly #depths = new Map<string, Depth>();

  constructor(broker: Gauging) {
    this.#broker = broker;
  }

  /**
   * Look where the last look is too old; resolves when all of these have been looked at.
   * @throws BROKER_FAILED where looking is refused: a bound that cannot be seen must not pass for none
   */
  async refresh(queues: readonly string[]): Promise<void> {
    const nowMs = performance.now();
    const stale = queues.filter((queue) => {
      const depth = this.#depths.get(queue);
      return depth === undefined || (depth.look === undefined && nowMs - depth.lookedAtMs >= lookEveryMs);
    });
    if (stale.length > 0) this.#look(stale, nowMs);
    await Promise.all(queues.flatMap((queue) => this.#depths.get(queue)?.look ?? []));
  }

  /** Undefined: not known. */
  of(queue: string): number | undefined {
    const depth = this.#depths.get(queue);
    return depth?.pending === undefined ? undefined : depth.pending + depth.added;
  }

  add(queue: string, count: number): void {
    const depth = this.#depths.get(queue);
    if (depth === undefined) return;
    depth.added += count;
    depth.addedSince += count;
  }

  #look(queues: readonly string[], nowMs: number): void {
    if (this.#depths.size > maxQueues) this.#depths.clear();
    const counted = this.#broker.pending(queues, lookWithinMs).catch((error: unknown) => {
      if (HoldfastError.is(error, "BROKER_UNAVAILABLE")) return undefined;
      throw error;
    });
    const told = async (depth: Depth, n: number) => {
      try {
        depth.pending = (await counted)?.[n];
        depth.added = depth.addedSince;
      } catch (error) {
        // Whoever comes next looks again, and hears it, too.
        depth.lookedAtMs = Number.NEGATIVE_INFINITY;
        throw error;
      } finally {
        depth.look = undefined;
      }
    };
    for (const [n, queue] of queues.entries()) {
      const depth = this.#depths.get(queue) ?? {
        pending: undefined,
        added: 0,
        addedSince: 0,
        lookedAtMs: 0,
        look: undefined,
      };
      depth.addedSince = 0;
      depth.lookedAtMs = nowMs;
      depth.look = told(depth, n);
      this.#depths.set(queue, depth);
    }
  }
}
