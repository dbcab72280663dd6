import type { Incarnation } from "../broker/incarnation.js";
import type { SpoolOutcome } from "../broker/spool.js";

/** A task that storage has answered for. Times are of a clock that never jumps, ms. */
export interface Answered {
  readonly sequence: number;
  /** The task's: that of the outcome may be a duplicate's holder. */
  readonly id: string;
  readonly outcome: SpoolOutcome;
  /** When its answer was there. */
  readonly atMs: number;
  /** The same by the storage's clock, Unix ms. */
  readonly storageMs: number;
}

/** What a look at a queue's incarnation decides. */
export interface Verdict {
  /** These may leave the spool. */
  readonly released: readonly Answered[];
  /** These are to be sent again: the data that took them may be gone. */
  readonly again: readonly Answered[];
}

export interface Trust {
  /** How long the incarnation must have stayed the same, ms. */
  readonly afterMs: number;
  /** Where storage keeps snapshots only: also wait for the one that has the task. */
  readonly afterSave: boolean;
}

interface Queue {
  /** Of the last look that could tell; undefined before the first. */
  id: string | undefined;
  /** Counts the incarnations that were seen. */
  era: number;
  /** In the order of their answers. */
  sent: Answered[];
}

/**
 * When a task may leave the spool. A reply says that one server has taken it, and that may be a server which has been
 * given up already, or whose disk has not. So an answered task stays until two looks have found the same incarnation of
 * its queue: one before it was sent, and one when its answer is `afterMs` old; between them no look found another. And
 * where a replica may take over, until those that follow have it, or none that lacks it can become the master any more.
 * Whatever differs sends all again that is not released.
 */
export class ReleaseRule {
  readonly #queues = new Map<string, Queue>();
  readonly #held = new Set<number>();

  /** Answered for, and not released yet. */
  get size(): number {
    return this.#held.size;
  }

  holds(sequence: number): boolean {
    return this.#held.has(sequence);
  }

  /** The queues of which tasks are held. */
  queues(): string[] {
    return [...this.#queues].filter(([, { sent }]) => sent.length > 0).map(([name]) => name);
  }

  /** What is sent to the queue from now on goes to this era's data; undefined: no look has told yet, so do not send. */
  eraOf(queue: string): number | undefined {
    const known = this.#queues.get(queue);
    return known?.id === undefined ? undefined : known.era;
  }

  /** Storage has answered for what was sent in that era. False: that is another era's data, they are to be sent again. */
  answered(queue: string, era: number, tasks: readonly Answered[]): boolean {
    const known = this.#queues.get(queue);
    if (known === undefined || known.era !== era) return false;
    for (const task of tasks) {
      known.sent.push(task);
      this.#held.add(task.sequence);
    }
    return true;
  }

  /** What a look found that was begun at `askedMs`; undefined: it cannot be told at present. */
  look(queue: string, found: Incarnation | undefined, askedMs: number, trust: Trust): Verdict {
    const known = this.#queues.get(queue) ?? { id: undefined, era: 0, sent: [] };
    this.#queues.set(queue, known);
    // Nothing is let go now. But if the next look that can tell finds the same, it has been the same all the while: an
    // incarnation that has ended does not come back.
    if (found === undefined) return nothing;
    if (found.id !== known.id) {
      const again = known.sent;
      this.#queues.set(queue, { id: found.id, era: known.era + 1, sent: [] });
      for (const { sequence } of again) this.#held.delete(sequence);
      return { released: [], again };
    }
    const end = known.sent.findIndex((task) => !isTrusted(task, found, askedMs, trust));
    const released = known.sent.splice(0, end < 0 ? known.sent.length : end);
    for (const { sequence } of released) this.#held.delete(sequence);
    return { released, again: [] };
  }

  /** The latest answers for these tasks, where they are held. */
  outcomes(ids: ReadonlySet<string>): Map<string, SpoolOutcome> {
    const found = new Map<string, SpoolOutcome>();
    for (const { sent } of this.#queues.values()) {
      for (const { id, outcome } of sent) if (ids.has(id)) found.set(id, outcome);
    }
    return found;
  }
}

const nothing: Verdict = { released: [], again: [] };

function isTrusted(task: Answered, found: Incarnation, askedMs: number, trust: Trust): boolean {
  if (task.atMs + trust.afterMs > askedMs) return false;
  const { replicas } = found;
  const isAlone = replicas !== undefined && task.atMs >= (replicas.haveUntilMs ?? Number.NEGATIVE_INFINITY);
  if (isAlone && task.atMs + replicas.aloneAfterMs > askedMs) return false;
  return !trust.afterSave || found.persistence === "aof" || task.storageMs < (found.savedUntilMs ?? 0);
}
