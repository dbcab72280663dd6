import { idTimeMs } from "../core/ids.js";
import type { TaskInfo } from "../core/info.js";
import type { TaskMessage } from "../core/message.js";
import type { Failure } from "../core/outcome.js";
import { traceIdOf } from "../core/trace.js";
import { maxHistory, storedFailure, storedHistory } from "./failures.js";
import { inferredFailure, unreadableFailure } from "./inferred.js";

/** What storage holds of a task's failures, as it holds it. */
export interface StoredFailures {
  readonly state: string;
  readonly message: TaskMessage | undefined;
  readonly archivedAtMs: number | undefined;
  readonly failure: string | undefined;
  /** `undefined`: not asked for, or there is none. */
  readonly history: string | undefined;
}

type Told = Pick<TaskInfo, "failure" | "history" | "enqueuedAtMs" | "traceId">;

/** What is known of how a task came to where it is. */
export function toldOf(id: string, stored: StoredFailures): Told {
  const { state, message, archivedAtMs } = stored;
  const last = stored.failure === undefined ? undefined : storedFailure(stored.failure);
  const isLast = last !== undefined && stillHolds(last, state, message);
  const earlier = [...(stored.history === undefined ? [] : storedHistory(stored.history))];
  if (last !== undefined && !isLast) earlier.push(last);
  const inferred = !isLast && state === "archived" ? inferredFrom(message, archivedAtMs) : undefined;
  return {
    failure: isLast ? last : inferred,
    history: earlier.slice(-maxHistory),
    enqueuedAtMs: idTimeMs(id),
    traceId: traceIdOf(message?.headers),
  };
}

const inferredFrom = (message: TaskMessage | undefined, archivedAtMs: number | undefined): Failure =>
  message === undefined ? unreadableFailure(archivedAtMs) : inferredFailure(message, archivedAtMs);

/** A Go peer settles tasks without touching our record: then that is of an earlier attempt. */
function stillHolds(failure: Failure, state: string, message: TaskMessage | undefined): boolean {
  if (message === undefined) return true;
  if (state === "completed") return false;
  // Archived by hand: the message still tells of the attempt before, unless there was one since.
  if (failure.reason === "manual") return message.lastFailedAtMs <= failure.startedAtMs;
  return message.lastError === failure.message;
}
