import type { LeasedTask } from "../broker/broker.js";

interface Waiting {
  readonly task: LeasedTask;
  readonly sinceMs: number;
}

/** Leased tasks that wait for a slot, in the order in which they were leased. */
export class Line {
  #waiting: Waiting[] = [];

  get size(): number {
    return this.#waiting.length;
  }

  push(task: LeasedTask, sinceMs: number): void {
    this.#waiting.push({ task, sinceMs });
  }

  /** Takes out the first for which it holds. */
  next(holds: (task: LeasedTask, waitedMs: number) => boolean): Waiting | undefined {
    if (this.#waiting.length === 0) return undefined;
    const nowMs = performance.now();
    const at = this.#waiting.findIndex(({ task, sinceMs }) => holds(task, nowMs - sinceMs));
    if (at === 0) return this.#waiting.shift();
    return at < 0 ? undefined : this.#waiting.splice(at, 1)[0];
  }

  /** Takes out all for which it holds, in order. */
  remove(holds: (task: LeasedTask) => boolean): LeasedTask[] {
    const removed = this.#waiting.filter(({ task }) => holds(task)).map(({ task }) => task);
    if (removed.length > 0) this.#waiting = this.#waiting.filter(({ task }) => !holds(task));
    return removed;
  }
}
