import { replayMarginMs } from "../broker/broker.js";
import { within } from "../core/expiry.js";
import type { NewTask } from "../core/message.js";
import { type Foreigners, meet } from "./announce.js";
import type { RedisLink } from "./link.js";

/** How often one looks who works; and after a look that failed. */
const lookEveryMs = 30_000;
const lookAgainMs = 500;
/** As long as a spool may send it again with usual settings, and more. */
const keepMs = 60_000;

/**
 * Queues that workers of other programs serve. Those delete a finished task and remember nothing of it, so what a spool
 * may send there again is kept for a while when it has finished: then it is recognised.
 */
export class ForeignQueues {
  readonly #foreigners: Foreigners = new Map();
  #lookAtMs = Number.NEGATIVE_INFINITY;
  #look: Promise<void> | undefined;

  /** Takes half of `withinMs` at most: the rest is for what is to be sent. */
  async kept(link: RedisLink, tasks: readonly NewTask[], nowMs: number, withinMs: number): Promise<readonly NewTask[]> {
    const keepMsOf = ({ spooled }: NewTask) => (spooled === undefined ? 0 : Math.max(keepMs, spooled - replayMarginMs));
    const inDanger = (task: NewTask) => task.message.retentionMs < keepMsOf(task);
    if (!tasks.some(inDanger)) return tasks;
    if (performance.now() >= this.#lookAtMs) this.#look ??= this.#meet(link, nowMs);
    // Another call's look, too: what goes out before it is answered would have no protection.
    if (this.#look !== undefined) await within(this.#look, Math.max(0, withinMs / 2));
    const theirs = new Set([...this.#foreigners.values()].flat());
    return tasks.map((task) =>
      inDanger(task) && theirs.has(task.message.queue)
        ? { ...task, message: { ...task.message, retentionMs: keepMsOf(task) } }
        : task,
    );
  }

  /** Who may not look, or cannot at present, goes by what was seen before. */
  async #meet(link: RedisLink, nowMs: number): Promise<void> {
    const everyMs = await meet(link, this.#foreigners, nowMs).then(
      () => lookEveryMs,
      () => lookAgainMs,
    );
    this.#lookAtMs = performance.now() + everyMs;
    this.#look = undefined;
  }
}
