import { HoldfastError } from "../core/errors.js";
import { within } from "../core/expiry.js";
import { queuesKey } from "./keys.js";
import { type Caller, LinkError, type RunOptions } from "./link.js";

const knownForMs = 60_000;
/** Of a call's timeout, how long it is waited for the node that has all queues' names: who enqueues does not need it. */
const patienceShare = 1 / 4;
const firstAgainMs = 250;
const longestAgainMs = 5_000;
/** Who closes waits no longer for the last try. */
const lastTryMs = 500;
/** As many names are kept until they can be written; the next enqueue tries those over it again. */
const most = 1_000;

/**
 * Queues that are known to stand among all queues: that key is on one node of a Cluster, so it is not written with the
 * tasks but beside them, once in a while. Whatever fails makes all of it unsure: the server may have lost its data. While
 * that node is away, tasks go to the others all the same, and the names follow when it is back.
 */
export class KnownQueues {
  readonly #untilMs = new Map<string, number>();
  /** Still to be entered, all together. */
  readonly #missing = new Set<string>();
  #againMs = firstAgainMs;
  #timer: NodeJS.Timeout | undefined;
  #closed = false;

  clear(): void {
    this.#untilMs.clear();
  }

  /** It was dropped. */
  forget(queue: string): void {
    this.#missing.delete(queue);
    this.#untilMs.clear();
  }

  /** What is still to be entered is tried once more: nobody may use those queues again soon. */
  async close(link: Caller): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    if (this.#missing.size > 0) await this.#add(link, [...this.#missing], { timeoutMs: lastTryMs, insist: false });
  }

  /**
   * Puts those that are not known to stand there among all queues. Answers what went wrong for good: that the user may not,
   * or that the key is another thing.
   */
  async enter(link: Caller, queues: readonly string[], timeoutMs: number): Promise<LinkError | undefined> {
    const nowMs = performance.now();
    const unknown = queues.filter(
      (queue) => !this.#missing.has(queue) && nowMs > (this.#untilMs.get(queue) ?? Number.NEGATIVE_INFINITY),
    );
    if (unknown.length === 0) return undefined;
    // It is known to be away.
    if (this.#missing.size > 0) return this.enterLater(link, unknown);
    const end = await within(this.#add(link, unknown, { timeoutMs, insist: false }), timeoutMs * patienceShare);
    if (end instanceof LinkError) return end;
    if (end !== "entered") this.enterLater(link, unknown);
    return undefined;
  }

  /** Without anyone waiting for it. */
  enterLater(link: Caller, queues: readonly string[]): undefined {
    for (const queue of queues) if (this.#missing.size < most) this.#missing.add(queue);
    if (this.#closed || this.#timer !== undefined) return;
    this.#timer = setTimeout(() => void this.#tryAgain(link), this.#againMs).unref();
    this.#againMs = Math.min(2 * this.#againMs, longestAgainMs);
  }

  async #tryAgain(link: Caller): Promise<void> {
    const names = [...this.#missing];
    const end = names.length === 0 ? "entered" : await this.#add(link, names, { insist: false });
    this.#timer = undefined;
    if (end === "away") {
      this.enterLater(link, []);
      return;
    }
    // What went wrong for good is told to the next who enqueues.
    for (const queue of names) this.#missing.delete(queue);
    this.#againMs = firstAgainMs;
    if (this.#missing.size > 0) this.enterLater(link, []);
  }

  async #add(link: Caller, queues: readonly string[], options: RunOptions): Promise<"entered" | "away" | LinkError> {
    try {
      const [reply] = await link.run([{ name: "SADD", args: [queuesKey, ...queues] }], options);
      if (reply instanceof LinkError) return reply.outcome === "failed" || reply.code === "NOPERM" ? reply : "away";
    } catch (error) {
      // Unfit, or not to be reached: neither is a matter of those whose tasks are elsewhere.
      const codes = ["BROKER_UNAVAILABLE", "BROKER_INCOMPATIBLE", "CLOSED"] as const;
      if (codes.some((code) => HoldfastError.is(error, code))) return "away";
      throw error;
    }
    for (const queue of queues) this.#untilMs.set(queue, performance.now() + knownForMs);
    return "entered";
  }
}
