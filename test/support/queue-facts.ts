import type { TaskState } from "../../src/core/state.js";
import type { QueueFacts } from "../../src/ops/facts.js";

const none = { pending: 0, active: 0, scheduled: 0, retry: 0, completed: 0, aggregating: 0, archived: 0 };

/** One queue as a monitor sees it, with so many tasks in these states, and one worker. */
export function queueFacts(name: string, counts: Readonly<Partial<Record<TaskState, number>>> = {}): QueueFacts {
  const info = { name, paused: false, counts: { ...none, ...counts }, processed: 0, failed: 0, latencyMs: 0 };
  const { archived } = info.counts;
  const oldestLetter = { atMs: archived === 0 ? undefined : 0, count: archived };
  return { info, consumers: 1, memoryBytes: 0, oldestLetter, headroom: undefined, evicted: {} };
}
