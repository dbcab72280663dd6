import type { NewTask } from "../core/message.js";

interface Lock {
  readonly id: string;
  readonly untilMs: number;
  undecided: Promise<unknown> | undefined;
}

/** More than these are not kept: what they would have told is told by storage, later. */
const mostLocks = 100_000;

/** The unique locks that tasks of this process will ask for: a second one is a duplicate, which can be told at once. */
export class WaitingLocks {
  readonly #locks = new Map<string, Lock>();

  /** The id of the task that waits with this one's lock, if another does. */
  holder(task: NewTask, nowMs: number): string | undefined {
    return this.#other(task, nowMs)?.id;
  }

  /** Resolves when that task's acceptance is decided; undefined when it is. */
  undecided(task: NewTask, nowMs: number): Promise<unknown> | undefined {
    return this.#other(task, nowMs)?.undecided;
  }

  add({ message, uniqueForMs }: NewTask, nowMs: number): void {
    if (uniqueForMs > 0 && this.#locks.size < mostLocks)
      this.#locks.set(message.uniqueKey, { id: message.id, untilMs: nowMs + uniqueForMs, undecided: undefined });
  }

  /** Whether they hold their locks is open until this has settled. */
  decidedWith(tasks: readonly NewTask[], acceptance: Promise<unknown>): void {
    const locks = tasks.flatMap(({ message, uniqueForMs }) => {
      const lock = uniqueForMs > 0 ? this.#locks.get(message.uniqueKey) : undefined;
      return lock?.id === message.id ? [lock] : [];
    });
    if (locks.length === 0) return;
    const decided = () => {
      for (const lock of locks) lock.undecided = undefined;
    };
    const undecided = acceptance.then(decided, decided);
    for (const lock of locks) lock.undecided = undecided;
  }

  remove({ message }: NewTask): void {
    if (this.#locks.get(message.uniqueKey)?.id === message.id) this.#locks.delete(message.uniqueKey);
  }

  #other({ message, uniqueForMs }: NewTask, nowMs: number): Lock | undefined {
    const lock = uniqueForMs > 0 ? this.#locks.get(message.uniqueKey) : undefined;
    return lock !== undefined && lock.untilMs > nowMs && lock.id !== message.id ? lock : undefined;
  }
}
