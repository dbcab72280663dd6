import { subscribe, unsubscribe } from "node:diagnostics_channel";
import type { Broker, TaskEvent } from "../../index.js";

export interface FollowedTask {
  readonly queue: string;
  readonly id: string;
}

/** How many tasks one look at storage asks for. */
const lookAtMost = 500;

/**
 * Follows tasks to their end (completed or dead letter). The worker in this process tells of each on
 * `node:diagnostics_channel`; storage is asked as well, for another process may work on the same queues.
 */
export class Watch implements Disposable {
  readonly #broker: Broker;
  readonly #open: Map<string, FollowedTask>;
  readonly #total: number;
  readonly #endedAtMs: number[] = [];
  #retries = 0;

  constructor(broker: Broker, tasks: readonly FollowedTask[]) {
    this.#broker = broker;
    this.#open = new Map(tasks.map((task) => [task.id, task]));
    this.#total = this.#open.size;
    subscribe("holdfast.task", this.#hear);
  }

  get total(): number {
    return this.#total;
  }
  get ended(): number {
    return this.#total - this.#open.size;
  }
  get retries(): number {
    return this.#retries;
  }

  /** When the given share of all tasks had ended, by `performance.now()`. */
  endedAtMs(share: number): number {
    return this.#endedAtMs[Math.max(0, Math.ceil(this.#total * share) - 1)] ?? performance.now();
  }

  /** Ask storage for some of those that are still open. */
  async look(): Promise<void> {
    const asked = [...this.#open.values()].slice(0, lookAtMost);
    const found = await this.#broker.find(asked);
    asked.forEach((task, index) => {
      const state = found[index]?.state;
      if (state === undefined || state === "completed" || state === "archived") this.#end(task.id);
    });
  }

  [Symbol.dispose](): void {
    unsubscribe("holdfast.task", this.#hear);
  }

  readonly #hear = (message: unknown): void => {
    const event = message as TaskEvent;
    if (event.event !== "settled" || event.receipt === "leaseLost" || !this.#open.has(event.id)) return;
    if (event.outcome === "retry") this.#retries += 1;
    if (event.outcome === "completed" || event.outcome === "archived") this.#end(event.id);
  };

  #end(id: string): void {
    if (this.#open.delete(id)) this.#endedAtMs.push(performance.now());
  }
}
