import type { Gauging, Producing } from "../broker/broker.js";
import { HoldfastError, invalidOption } from "../core/errors.js";
import { pause } from "../core/loop.js";
import { type Resolved, resolve, type Setting, setting } from "../core/settings.js";
import type { Importance } from "../core/task.js";
import { Depths } from "./depths.js";
import { type Rate, TokenBucket } from "../core/token-bucket.js";

/** One number for all tasks, or one for those of each importance; an importance without a number has no bound. */
export type MaxPending = number | { readonly [I in Importance]?: number };
export interface RateLimit {
  readonly perSecond: number;
  /** So many at once after a pause. Default: what one second allows. */
  readonly burst?: number;
}

export const limitSettings = {
  rateLimit: {
    kind: "record",
    default: undefined as RateLimit | undefined,
    allowed: "an object { perSecond, burst }, whole numbers, 1 … 1000000",
    says: "how many tasks this client enqueues in a second, all queues together; `burst` (default: as many) after a pause",
    parse: rateOf,
  } satisfies Setting<RateLimit, Rate | undefined>,
  maxPending: {
    kind: "record",
    default: undefined as MaxPending | undefined,
    allowed: "a whole number, 1 … 1000000000, or an object of such numbers, { low, normal, high }",
    says: "how many tasks may be pending in a queue to which this client enqueues; in all, or before tasks of each importance are refused",
    parse: marksOf,
  } satisfies Setting<MaxPending, Marks | undefined>,
  whenLimited: setting.choice({
    of: ["fail", "wait"],
    default: "fail",
    says: "what an enqueue does that rateLimit or maxPending does not allow now: fail at once, or wait within the timeout",
  }),
};

type Marks = Readonly<Record<Importance, number>>;

/** What a limit has to know of a task. */
export interface Limited {
  readonly queue: string;
  readonly importance: Importance;
}

/** What a client holds back of itself, so that a burst neither floods storage nor piles up before the workers. */
export class Limits {
  readonly #bucket: TokenBucket | undefined;
  readonly #perSecond: number;
  readonly #marks: Marks | undefined;
  readonly #depths: Depths | undefined;
  readonly #waits: boolean;

  /** @throws OPTION_INVALID for `maxPending` where the broker does not tell how much is pending */
  constructor(broker: Producing & Partial<Gauging>, options: Resolved<typeof limitSettings>) {
    const { rateLimit, maxPending, whenLimited } = options;
    this.#perSecond = rateLimit?.perSecond ?? Number.POSITIVE_INFINITY;
    this.#bucket = rateLimit && new TokenBucket(rateLimit);
    this.#marks = maxPending;
    if (maxPending !== undefined) {
      if (broker.pending === undefined)
        throw invalidOption("Client.maxPending", `needs a broker that tells how much is pending, got ${broker.label}`);
      this.#depths = new Depths(broker as Gauging);
    }
    this.#waits = whenLimited === "wait";
  }

  /**
   * `isAway`: storage is known to be away, so nobody waits for what it would tell.
   * Resolves when these may be enqueued: all of them, for a list goes whole or not at all. The answer says whether they
   * had to wait.
   * @throws ENQUEUE_LIMITED QUEUE_FULL when they may not, or not before `giveUpAtMs` (of performance.now)
   */
  async admit(tasks: readonly Limited[], giveUpAtMs: number, isAway: boolean): Promise<boolean> {
    const waited = await this.#turn(tasks.length, giveUpAtMs);
    if (this.#marks === undefined || isAway) return waited;
    try {
      return (await this.#room(boundsOf(tasks, this.#marks), giveUpAtMs)) || waited;
    } catch (error) {
      this.#bucket?.giveBack(tasks.length);
      throw error;
    }
  }

  async #room(bounds: readonly Bound[], giveUpAtMs: number): Promise<boolean> {
    const depths = this.#depths!;
    for (let waited = false; ; waited = true) {
      // oxlint-disable-next-line no-await-in-loop -- looks again until there is room
      await depths.refresh(bounds.map(({ queue }) => queue));
      // Of a queue about which nothing is known, storage itself will tell what is wrong.
      const full = bounds.find(
        ({ queue, count, most }) => (depths.of(queue) ?? Number.NEGATIVE_INFINITY) + count > most,
      );
      if (full === undefined) {
        // Nothing is awaited between the look at the counts and this: two calls do not take the same room.
        for (const { queue, count } of bounds) depths.add(queue, count);
        return waited;
      }
      const leftMs = giveUpAtMs - performance.now();
      if (!this.#waits || leftMs <= 0) {
        const { queue, most, count } = full;
        throw new HoldfastError("QUEUE_FULL", { queue, pending: depths.of(queue)!, maxPending: most, tasks: count });
      }
      // oxlint-disable-next-line no-await-in-loop -- likewise
      await pause(Math.min(lookAgainMs, leftMs));
    }
  }

  async #turn(count: number, giveUpAtMs: number): Promise<boolean> {
    if (this.#bucket === undefined) return false;
    const withinMs = this.#waits ? giveUpAtMs - performance.now() : 0;
    const waitMs = this.#bucket.take(count, withinMs);
    if (waitMs > withinMs) {
      throw new HoldfastError("ENQUEUE_LIMITED", { perSecond: this.#perSecond, retryAfterMs: waitMs });
    }
    if (waitMs > 0) await pause(waitMs);
    return waitMs > 0;
  }
}

const lookAgainMs = 50;

/** So many of these tasks go to a queue that may hold so many. */
interface Bound {
  readonly queue: string;
  readonly count: number;
  readonly most: number;
}

/** A list goes whole or not at all, so the least important of its tasks decides for the queue. */
function boundsOf(tasks: readonly Limited[], marks: Marks): Bound[] {
  const bounds = new Map<string, { queue: string; count: number; most: number }>();
  for (const { queue, importance } of tasks) {
    const bound = bounds.get(queue) ?? { queue, count: 0, most: Number.POSITIVE_INFINITY };
    bound.count += 1;
    bound.most = Math.min(bound.most, marks[importance]);
    bounds.set(queue, bound);
  }
  return [...bounds.values()].filter(({ most }) => most < Number.POSITIVE_INFINITY);
}

const rateSettings = {
  perSecond: setting.integer({ default: undefined, min: 1, max: 1_000_000, says: "tasks a second" }),
  burst: setting.integer({ default: undefined, min: 1, max: 1_000_000, says: "so many at once after a pause" }),
};

function rateOf(value: unknown, option: string): Rate {
  const { perSecond, burst = perSecond } = resolve(rateSettings, value as RateLimit, option);
  if (perSecond === undefined || burst === undefined)
    throw invalidOption(`${option}.perSecond`, `must be ${rateSettings.perSecond.allowed}, got undefined`);
  return Object.freeze({ perSecond, burst });
}

const mark = setting.integer({ default: undefined, min: 1, max: 1_000_000_000, says: "pending tasks" });

function marksOf(value: unknown, option: string): Marks {
  const none = Number.POSITIVE_INFINITY;
  if (typeof value !== "number") {
    const {
      low = none,
      normal = none,
      high = none,
    } = resolve({ low: mark, normal: mark, high: mark }, value as Partial<Marks>, option);
    return Object.freeze({ low, normal, high });
  }
  const most = mark.parse(value, option) ?? none;
  return Object.freeze({ low: most, normal: most, high: most });
}
