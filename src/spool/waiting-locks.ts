import type { NewTask } from "../core/message.js";

/** More than these are not kept: what they would have told is told by storage, later. */
const mostLocks = 100_000;

/** The unique locks that tasks of this process will ask for: a second one is a duplicate, which can be told at once. */
export class WaitingLocks {
  readonly #locks = new Map<string, { readonly id: string; readonly untilMs: number }>();

  /** The id of the task that waits with this one's lock, if another does. */
  holder({ message, uniqueForMs }: NewTask, nowMs: number): string | undefined {
    const lock = uniqueForMs > 0 ? this.#locks.get(message.uniqueKey) : undefined;
    return lock !== undefined && lock.untilMs > nowMs && lock.id !== message.id ? lock.id : undefined;
  }

  add({ message, uniqueForMs }: NewTask, nowMs: number): void {
    if (uniqueForMs > 0 && this.#locks.size < mostLocks)
      this.#locks.set(message.uniqueKey, { id: message.id, untilMs: nowMs + uniqueForMs });
  }

  remove({ message }: NewTask): void {
    if (this.#locks.get(message.uniqueKey)?.id === message.id) this.#locks.delete(message.uniqueKey);
  }
}
