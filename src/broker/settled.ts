import { floorToS } from "../core/duration.js";
import type { TaskMessage } from "../core/message.js";
import type { Outcome } from "../core/outcome.js";

/** The message as it is to be stored after an attempt; `undefined` where the stored one stays as it is. */
export function messageAfter(message: TaskMessage, outcome: Outcome, nowMs: number): TaskMessage | undefined {
  const wholeNowMs = floorToS(nowMs) * 1_000;
  switch (outcome.kind) {
    case "completed":
      return message.retentionMs === 0 ? undefined : { ...message, completedAtMs: wholeNowMs };
    case "retry":
      return {
        ...message,
        retried: message.retried + (outcome.counts ? 1 : 0),
        lastError: outcome.failure.message,
        lastFailedAtMs: wholeNowMs,
      };
    case "archived":
      return { ...message, lastError: outcome.failure.message, lastFailedAtMs: wholeNowMs };
    case "revoked":
    case "released":
      return undefined;
  }
  outcome satisfies never;
}
