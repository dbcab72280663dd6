import type { EnqueueReceipt, Producing } from "../../src/broker/broker.js";
import type { Spool, SpoolOutcome, SpoolStats } from "../../src/broker/spool.js";
import { HoldfastError } from "../../src/core/errors.js";
import type { NewTask } from "../../src/core/message.js";

/** A spool in memory that delivers when it is told to. */
export class MemorySpool implements Spool {
  readonly tasks: NewTask[] = [];
  readonly #ended = new Map<string, SpoolOutcome>();
  readonly #maxTasks: number;
  nudges = 0;

  constructor(maxTasks = 100) {
    this.#maxTasks = maxTasks;
  }

  async accept(tasks: readonly NewTask[]): Promise<EnqueueReceipt[]> {
    if (this.tasks.length + tasks.length > this.#maxTasks) {
      const full = { tasks: this.tasks.length, maxTasks: this.#maxTasks, bytes: 0, maxBytes: 1, diskFull: false };
      throw new HoldfastError("SPOOL_FULL", { directory: "memory", ...full });
    }
    this.tasks.push(...tasks);
    return tasks.map((task) => ({ status: "spooled", id: task.message.id }));
  }

  holds(queue: string): boolean {
    return this.tasks.some(({ message }) => message.queue === queue);
  }

  /** Bring all there is to storage. */
  async deliver(broker: Producing): Promise<void> {
    const tasks = this.tasks.map((task) => ({ ...task, repeat: true }));
    for (const receipt of await broker.enqueue(tasks, broker.clock.nowMs())) this.#ended.set(receipt.id, receipt);
    this.tasks.length = 0;
  }

  async outcomes(ids: readonly string[]): Promise<(SpoolOutcome | undefined)[]> {
    return ids.map((id) => this.#ended.get(id));
  }

  async stats(): Promise<SpoolStats> {
    const { length: tasks } = this.tasks;
    return { tasks, bytes: tasks, oldestAtMs: undefined, parked: 0, maxBytes: 1, maxTasks: this.#maxTasks };
  }

  nudge(): void {
    this.nudges += 1;
  }

  async close(): Promise<void> {}
  async [Symbol.asyncDispose](): Promise<void> {}
}
