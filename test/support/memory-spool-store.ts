import type { Adopted, SpooledTask, SpoolOutcome, SpoolStats, SpoolStore } from "../../src/broker/spool.js";
import type { NewTask } from "../../src/core/message.js";

/** A spool's store that forgets everything with its process: for tests of what stands on it. */
export class MemorySpoolStore implements SpoolStore {
  readonly tasks: SpooledTask[] = [];
  readonly ended = new Map<string, SpoolOutcome>();
  #sequence = 0;
  #adopted: (adopted: Adopted) => void = () => {};

  async append(tasks: readonly NewTask[], nowMs: number): Promise<number> {
    for (const task of tasks) this.tasks.push({ sequence: (this.#sequence += 1), acceptedAtMs: nowMs, task });
    return this.#sequence;
  }

  async read(after: number, limit: number): Promise<readonly SpooledTask[]> {
    const at = this.tasks.findIndex(({ sequence }) => sequence > after);
    return at < 0 ? [] : this.tasks.slice(at, at + limit);
  }

  async release(ended: readonly { readonly sequence: number; readonly outcome: SpoolOutcome }[]): Promise<void> {
    const outcomes = new Map(ended.map(({ sequence, outcome }) => [sequence, outcome]));
    const kept = this.tasks.filter(({ sequence, task }) => {
      const outcome = outcomes.get(sequence);
      if (outcome !== undefined) this.ended.set(task.message.id, outcome);
      return outcome === undefined;
    });
    this.tasks.splice(0, this.tasks.length, ...kept);
  }

  async outcomes(ids: readonly string[]): Promise<(SpoolOutcome | undefined)[]> {
    const waiting = new Set(this.tasks.map(({ task }) => task.message.id));
    return ids.map((id) => this.ended.get(id) ?? (waiting.has(id) ? { status: "spooled", id } : undefined));
  }

  async stats(): Promise<SpoolStats> {
    const oldestAtMs = this.tasks[0]?.acceptedAtMs;
    return { tasks: this.tasks.length, bytes: 0, oldestAtMs, parked: 0, maxBytes: 1, maxTasks: 1 };
  }

  /** As when another process has died. */
  async adopt(tasks: readonly NewTask[], nowMs: number): Promise<void> {
    const last = await this.append(tasks, nowMs);
    this.#adopted({ tasks: tasks.length, queues: [...new Set(tasks.map(({ message }) => message.queue))], last });
  }

  onAdopted(listener: (adopted: Adopted) => void): void {
    this.#adopted = listener;
  }

  onUnreadable(): void {}

  async close(): Promise<void> {}
  async [Symbol.asyncDispose](): Promise<void> {}
}
