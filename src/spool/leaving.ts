import { setTimeout as sleep } from "node:timers/promises";
import type { Answered } from "./release.js";

const releasedAtOnce = 1_000;
/** After trouble with the spool's own file. */
const againMs = 1_000;

export interface LeavingOptions {
  /** Takes them out of the file. */
  readonly release: (tasks: readonly Answered[]) => Promise<void> | undefined;
  readonly onReleased: (count: number) => void;
  readonly onTrouble: (error: unknown) => void;
  /** There are none left, or what is left stays. */
  readonly onDone: () => void;
  /** What the file does not take then stays in it. */
  readonly over: AbortSignal;
}

/** Tasks that storage has for good, and of which the spool's file does not know it yet. */
export class Leaving {
  readonly #options: LeavingOptions;
  /** By sequence, in the order in which they leave. */
  readonly #tasks = new Map<number, Answered>();
  #releasing: Promise<void> | undefined;

  constructor(options: LeavingOptions) {
    this.#options = options;
  }

  has(sequence: number): boolean {
    return this.#tasks.has(sequence);
  }

  add(tasks: readonly Answered[]): void {
    for (const task of tasks) this.#tasks.set(task.sequence, task);
    this.#releasing ??= this.#releaseAll().finally(() => {
      this.#releasing = undefined;
      // Some may have come when the last had left already.
      if (this.#tasks.size > 0 && !this.#options.over.aborted) this.add([]);
    });
  }

  async end(): Promise<void> {
    await this.#releasing;
  }

  /** What stays in the file when it makes trouble to the end is sent once more by whoever opens it next. */
  async #releaseAll(): Promise<void> {
    const { release, onReleased, onTrouble, onDone, over } = this.#options;
    // One walk for many parts: one from the start would pass by the places of all that left before. It comes to what is added too.
    let walk = this.#tasks.values();
    while (this.#tasks.size > 0) {
      // In parts, so that what is accepted meanwhile does not wait long.
      const part = next(walk, releasedAtOnce);
      try {
        await release(part);
        for (const { sequence } of part) this.#tasks.delete(sequence);
        onReleased(part.length);
        if (part.length < releasedAtOnce) walk = this.#tasks.values();
      } catch (error) {
        walk = this.#tasks.values();
        onTrouble(error);
        if (over.aborted) break;
        await sleep(againMs, undefined, { ref: false, signal: over }).catch(() => undefined);
      }
    }
    onDone();
  }
}

/** The walk has ended when they are fewer than asked for. */
function next<T>(walk: Iterator<T>, most: number): T[] {
  const part: T[] = [];
  while (part.length < most) {
    const { done, value } = walk.next();
    if (done === true) break;
    part.push(value);
  }
  return part;
}
