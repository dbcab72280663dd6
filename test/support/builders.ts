import type { Lease, LeasedTask, Settlement } from "../../src/broker/broker.js";
import { encodeMessage } from "../../src/core/codec.js";
import type { NewTask, TaskMessage } from "../../src/core/message.js";
import { noHeaders } from "../../src/core/names.js";
import type { Failure, Outcome } from "../../src/core/outcome.js";

/** A whole message from the fields that matter to a test. */
export function message(fields: Partial<TaskMessage> = {}): TaskMessage {
  return {
    type: "test:plain",
    payload: new Uint8Array(0),
    id: "id-1",
    queue: "default",
    maxRetry: 25,
    retried: 0,
    lastError: "",
    lastFailedAtMs: 0,
    timeoutMs: 1_800_000,
    deadlineMs: 0,
    uniqueKey: "",
    retentionMs: 0,
    completedAtMs: 0,
    group: "",
    headers: noHeaders,
    ...fields,
  };
}

let idsMade = 0;

/** An id of ours that was made at that time. `newId` never goes back: what it answers depends on who asked before in the process. */
export function idMadeAt(ms: number): string {
  const time = ms.toString(16).padStart(12, "0");
  const tail = (idsMade += 1).toString(16).padStart(12, "0");
  return `${time.slice(0, 8)}-${time.slice(8)}-7000-8000-${tail}`;
}

type HowToPut = Partial<Omit<NewTask, "message">>;

/** A task on its way in: message fields first, then how it is to be put there. */
export function newTask(fields: Partial<TaskMessage> = {}, how: HowToPut = {}): NewTask {
  return { message: message(fields), processAtMs: 0, uniqueForMs: 0, atMostOnce: false, repeat: false, ...how };
}

export function failure(fields: Partial<Failure> = {}): Failure {
  return { reason: "failed", class: "Error", message: "boom", startedAtMs: 0, durationMs: 5, ...fields };
}

/** What can become of a leased task, each as one word at the call site. */
export const settled = {
  completed: (task: LeasedTask, result?: Uint8Array): Settlement => ({
    task,
    outcome: result === undefined ? { kind: "completed" } : { kind: "completed", result },
  }),
  retry: (task: LeasedTask, atMs: number, counts = true): Settlement => ({
    task,
    outcome: { kind: "retry", atMs, counts, failure: failure() },
  }),
  archived: (task: LeasedTask, why: Partial<Failure> = {}): Settlement => ({
    task,
    outcome: { kind: "archived", failure: failure({ reason: "retries_exhausted", ...why }) },
  }),
  revoked: (task: LeasedTask): Settlement => ({ task, outcome: { kind: "revoked" } }),
  released: (task: LeasedTask): Settlement => ({ task, outcome: { kind: "released" } }),
} satisfies Record<Outcome["kind"], unknown>;

/** The task as a worker holds it that lost its lease in the meantime. */
export function withToken(task: LeasedTask, token: string): LeasedTask {
  const lease: Lease = { ...task.lease, token };
  return { ...task, lease };
}

/** A message in a form that compares by value, whatever kind of byte array its payload is. */
export const bytesOf = (one: TaskMessage): string => encodeMessage(one).toString("hex");
