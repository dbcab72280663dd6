import { replayMarginMs } from "../broker/broker.js";
import type { NewTask } from "../core/message.js";
import type { SpooledTask } from "../broker/spool.js";

/** A lock is held for at least this long, as everywhere. */
const shortestLockMs = 1_000;

/**
 * The task as it is to be sent now, when it has waited. It may have come before, so it says that it repeats. Its lock
 * holds until the time that was asked for, and none is taken when that has passed; when to process it, and its deadline,
 * are times and stay what they are: one that is late ends where anyone can see it. It may come again for as long as it is held.
 */
export function prepared({ task, acceptedAtMs }: SpooledTask, nowMs: number, heldMs: number): NewTask {
  const waitedMs = Math.max(0, nowMs - acceptedAtMs);
  const locks = task.uniqueForMs > 0;
  const late = locks && waitedMs > task.uniqueForMs;
  return {
    ...task,
    message: late ? { ...task.message, uniqueKey: "" } : task.message,
    uniqueForMs: !locks || late ? 0 : Math.max(shortestLockMs, task.uniqueForMs - waitedMs),
    repeat: true,
    spooled: heldMs + replayMarginMs,
  };
}
