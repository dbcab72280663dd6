import { ceilToS } from "./duration.js";
import { createHash } from "node:crypto";
import { type Headers, sideEffectsHeader } from "./names.js";
import { encodeWithin } from "./payload.js";
import type { TaskRequest } from "./task.js";

/** What is stored of a task: asynq's TaskMessage (see codec.ts). Times are Unix ms in whole seconds; 0 and "" mean none. */
export interface TaskMessage {
  readonly type: string;
  readonly payload: Uint8Array;
  readonly id: string;
  readonly queue: string;
  readonly maxRetry: number;
  /** Failures counted so far. */
  readonly retried: number;
  readonly lastError: string;
  readonly lastFailedAtMs: number;
  readonly timeoutMs: number;
  readonly deadlineMs: number;
  /** The full key of the unique lock that this task holds. */
  readonly uniqueKey: string;
  readonly retentionMs: number;
  readonly completedAtMs: number;
  readonly group: string;
  readonly headers: Headers;
}

/** A task on its way in: what is to be stored, and how it is to be put there. */
export interface NewTask {
  readonly message: TaskMessage;
  /** Not before this time, Unix ms; 0 or past: at once. */
  readonly processAtMs: number;
  /** How long the unique lock holds from now on, ms; 0: no lock. */
  readonly uniqueForMs: number;
  /** A crash of its worker ends the task (archived) instead of running it again. */
  readonly atMostOnce: boolean;
  /** This may have been sent before (its outcome is unknown): if the id is there, or was finished, that is this task. */
  readonly repeat: boolean;
  /** So long after it has finished a spool may send it again, and its id is remembered, ms. */
  readonly spooled?: number;
}

/** The options of one enqueue: call over definition over default. This function alone knows that order. */
export function newTask(request: TaskRequest<unknown>, nowMs: number, id: string, maxPayloadBytes: number): NewTask {
  const { definition, payload, options } = request;
  const settled = options === undefined ? definition.options : { ...definition.options, ...options };
  const bytes = encodeWithin(definition.codec, payload, definition.type, maxPayloadBytes);
  // A codec of one's own may write something for `undefined`: then those bytes are a payload.
  const noPayload = payload === undefined && bytes.length === 0;
  const processAtMs =
    settled.processAt?.getTime() ?? (settled.processInMs === undefined ? 0 : nowMs + settled.processInMs);
  const delayMs = Math.max(0, processAtMs - nowMs);
  const uniqueForMs = settled.uniqueMs === undefined ? 0 : delayMs + settled.uniqueMs;
  // 0 says "none": a deadline in 1970 or before is the first second, which has passed as well.
  const deadlineMs = settled.deadline === undefined ? 0 : Math.max(1_000, wholeSeconds(settled.deadline.getTime()));
  // asynq's rule: a task with neither timeout nor deadline gets the default timeout, one with a deadline only gets none.
  const timeoutMs = settled.timeoutMs ?? (deadlineMs === 0 ? defaultTimeoutMs : 0);
  return {
    message: {
      type: definition.type,
      payload: bytes,
      id: settled.id ?? id,
      queue: settled.queue,
      maxRetry: settled.maxRetry,
      retried: 0,
      lastError: "",
      lastFailedAtMs: 0,
      timeoutMs: wholeSeconds(timeoutMs),
      deadlineMs,
      uniqueKey: uniqueForMs === 0 ? "" : uniqueKey(settled.queue, definition.type, noPayload ? null : bytes),
      retentionMs: wholeSeconds(settled.retentionMs),
      completedAtMs: 0,
      group: "",
      headers:
        settled.sideEffects === undefined
          ? settled.headers
          : { ...settled.headers, [sideEffectsHeader]: settled.sideEffects },
    },
    processAtMs: delayMs === 0 ? 0 : processAtMs,
    uniqueForMs,
    atMostOnce: settled.delivery === "at-most-once",
    repeat: false,
  };
}

/** 30 minutes, as in asynq. */
export const defaultTimeoutMs = 1_800_000;

const wholeSeconds = (ms: number) => ceilToS(ms) * 1_000;

/**
 * The lock of a unique task, exactly as asynq builds it: an MD5 over the raw payload, nothing at all for no payload
 * (asynq's `UniqueKey` in internal/base). Both sides must agree, so the name is not ours to choose.
 */
export function uniqueKey(queue: string, type: string, payload: Uint8Array | null): string {
  return `asynq:{${queue}}:unique:${type}:${payload === null ? "" : createHash("md5").update(payload).digest("hex")}`;
}
