import { amended } from "../../core/amended.js";
import { minBuildHeader } from "../../core/build.js";
import type { TaskInfo } from "../../core/info.js";
import type { NewTask, TaskMessage } from "../../core/message.js";
import type { RunSettings } from "./options.js";

/** What a redriven task is kept for when it has completed, so that it is seen; given back when it was. */
export const seenMs = 86_400_000;

type How = Pick<RunSettings, "attempts" | "minBuild">;

/** The bytes of a dead letter as they are to run: with so many attempts, by such workers, kept so long. */
export function bytesToRun({ bytes, message }: TaskInfo, how: How, retentionMs?: number): Buffer {
  const headers = headersOf(message!, how);
  return amended(bytes, {
    maxRetry: maxRetryOf(message!, how),
    ...(retentionMs === undefined ? {} : { retentionMs }),
    headers,
  });
}

/** The bytes of a dead letter whose retention is its own again. */
export const bytesBack = ({ bytes }: TaskInfo, retentionMs: number): Buffer => amended(bytes, { retentionMs });

/** Exactly so many runs: a task that gave up early does not get all the retries that it had left. */
const maxRetryOf = ({ retried }: TaskMessage, { attempts }: How) => Math.min(retried + attempts - 1, 2_147_483_647);

/** A build that an earlier run asked for is not asked for any more. */
function headersOf({ headers }: TaskMessage, { minBuild }: How): Record<string, string> {
  if (minBuild !== undefined) return { [minBuildHeader]: minBuild };
  return (headers[minBuildHeader] ?? "") === "" ? {} : { [minBuildHeader]: "" };
}

/** By whom a task was brought to another queue: what has this there is the same one. */
export const routedHeader = "holdfast-redrive";

/** The task for another queue: the same id, so that it gets there once, and no lock, for locks are a queue's. */
export function routed(
  task: TaskInfo,
  {
    queue,
    by,
    how,
    retentionMs,
    dueMs,
  }: {
    readonly queue: string;
    readonly by: string;
    readonly how: How;
    readonly retentionMs: number;
    readonly dueMs: number;
  },
): NewTask {
  const message = task.message!;
  return {
    message: {
      ...message,
      queue,
      uniqueKey: "",
      group: "",
      maxRetry: maxRetryOf(message, how),
      retentionMs,
      headers: { ...message.headers, ...headersOf(message, how), [routedHeader]: by },
    },
    processAtMs: dueMs,
    uniqueForMs: 0,
    atMostOnce: false,
    repeat: true,
  };
}
