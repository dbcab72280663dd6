import { replayMarginMs } from "../broker/broker.js";
import type { NewTask } from "../core/message.js";
import { type Foreigners, meet } from "./announce.js";
import type { RedisLink } from "./link.js";

/** How often one looks who works. */
const lookEveryMs = 30_000;
/** As long as a spool may send it again with usual settings, and more. */
const keepMs = 60_000;

/**
 * Queues that workers of other programs serve. Those delete a finished task and remember nothing of it, so what a spool
 * may send there again is kept for a while when it has finished: then it is recognised.
 */
export class ForeignQueues {
  readonly #foreigners: Foreigners = new Map();
  #lookAtMs = Number.NEGATIVE_INFINITY;

  async kept(link: RedisLink, tasks: readonly NewTask[], nowMs: number): Promise<readonly NewTask[]> {
    const keepMsOf = ({ spooled }: NewTask) => (spooled === undefined ? 0 : Math.max(keepMs, spooled - replayMarginMs));
    const inDanger = (task: NewTask) => task.message.retentionMs < keepMsOf(task);
    if (!tasks.some(inDanger)) return tasks;
    if (performance.now() >= this.#lookAtMs) {
      this.#lookAtMs = performance.now() + lookEveryMs;
      // Who may not look, or cannot at present, goes by what was seen before.
      await meet(link, this.#foreigners, nowMs).catch(() => undefined);
    }
    const theirs = new Set([...this.#foreigners.values()].flat());
    return tasks.map((task) =>
      inDanger(task) && theirs.has(task.message.queue)
        ? { ...task, message: { ...task.message, retentionMs: keepMsOf(task) } }
        : task,
    );
  }
}
