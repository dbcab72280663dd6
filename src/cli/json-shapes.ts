import type { Mark, QueueInfo, RunningTask, TaskInfo, WorkerInfo } from "../core/info.js";
import { copiedFrom } from "../core/lineage.js";
import type { Failure } from "../core/outcome.js";
import { scrub } from "../core/scrub.js";
import { shownFailure } from "../core/shown-failure.js";
import { encoded } from "./payload-view.js";
import { iso } from "./times.js";

/**
 * What `--json` prints: stable, documented in docs/reference/cli.md. Times are ISO 8601 in UTC, lengths of time are ms,
 * what there is not is null, and nothing is cut. Fields are only added.
 */

/** Bytes: text where they are UTF-8, else base64; `…Encoding` says which. */
function bytesAs(name: string, bytes: Uint8Array | undefined) {
  const { text, encoding } = bytes === undefined ? { text: null, encoding: null } : encoded(bytes);
  return { [name]: text, [`${name}Encoding`]: encoding };
}

export function taskJson(task: TaskInfo) {
  const { message } = task;
  return {
    id: task.id,
    queue: task.queue,
    state: task.state,
    type: message?.type ?? null,
    ...bytesAs("payload", message?.payload),
    maxRetry: message?.maxRetry ?? null,
    retried: message?.retried ?? null,
    crashes: task.crashes,
    lastError: message === undefined || message.lastError === "" ? null : scrub(message.lastError, 65_536),
    lastFailedAt: iso(given(message?.lastFailedAtMs)),
    failure: task.failure === undefined ? null : failureJson(task.failure),
    // Earlier ones, the newest last; null where they were not read.
    history: task.history?.map(failureJson) ?? null,
    enqueuedAt: iso(task.enqueuedAtMs),
    traceId: task.traceId ?? null,
    dueAt: iso(task.dueAtMs),
    archivedAt: iso(task.archivedAtMs),
    completedAt: iso(given(message?.completedAtMs)),
    timeoutMs: given(message?.timeoutMs) ?? null,
    deadline: iso(given(message?.deadlineMs)),
    retentionMs: given(message?.retentionMs) ?? null,
    uniqueKey: message === undefined || message.uniqueKey === "" ? null : message.uniqueKey,
    group: message === undefined || message.group === "" ? null : message.group,
    headers: message?.headers ?? {},
    progress: task.progress ?? null,
    acknowledged: task.acknowledged === undefined ? null : markJson(task.acknowledged),
    restored: task.restored === undefined ? null : markJson(task.restored),
    copyOf: (message && copiedFrom(message)) ?? null,
    copies: (task.copies ?? []).map(({ queue, id, ...mark }) => ({ queue, id, ...markJson(mark) })),
    ...bytesAs("result", task.result),
    // Only of a message that cannot be decoded: all that there is of it.
    ...(message === undefined ? bytesAs("stored", task.bytes) : {}),
  };
}

const markJson = ({ atMs, actor, reason }: Mark) => ({
  at: iso(atMs),
  actor,
  reason: reason === "" ? null : reason,
});

/** 0 says "none" in a message. */
const given = (value: number | undefined) => (value === 0 ? undefined : value);

function failureJson(failure: Failure) {
  const { startedAtMs, ...rest } = shownFailure(failure);
  return { ...rest, startedAt: iso(startedAtMs) };
}

export function queueJson(queue: QueueInfo, memoryBytes?: number) {
  const { name, paused, pause, counts, processed, failed, latencyMs } = queue;
  return {
    name,
    paused,
    pausedAt: iso(pause?.atMs),
    pausedBy: pause?.actor ?? null,
    pauseReason: pause?.reason ?? null,
    counts,
    earliestAt: Object.fromEntries(Object.entries(queue.earliestAtMs ?? {}).map(([state, atMs]) => [state, iso(atMs)])),
    latencyMs,
    processed,
    failed,
    ...(memoryBytes === undefined ? {} : { memoryBytes }),
  };
}

export function workerJson(worker: WorkerInfo) {
  const { startedAtMs, running, ...rest } = worker;
  return { ...rest, startedAt: iso(startedAtMs), running: running.map(runningJson) };
}

function runningJson({ queue, id, type, payload, startedAtMs, limitAtMs }: RunningTask) {
  return { queue, id, type, ...bytesAs("payload", payload), startedAt: iso(startedAtMs), limitAt: iso(limitAtMs) };
}
