import { randomUUID } from "node:crypto";
import type { StoredLetter } from "../broker/stored-letter.js";
import { systemClock } from "../core/clock.js";
import { decodeMessage } from "../core/codec.js";
import { HoldfastError, invalidOption, shown } from "../core/errors.js";
import type { Headers } from "../core/names.js";
import { type Outcome, verdict } from "../core/outcome.js";
import { decodePayload, json } from "../core/payload.js";
import { encodeProgress } from "../core/progress.js";
import { readable } from "../core/protobuf.js";
import { asynqBackoff } from "../core/retry.js";
import { type AnyDefinition, validate } from "../core/task.js";

/** What a handler that is run here is given: as in a worker, but nothing of it reaches storage. */
export interface ReplayContext {
  readonly id: string;
  readonly type: string;
  readonly queue: string;
  /** As its next run would count. */
  readonly attempt: number;
  readonly maxRetry: number;
  readonly headers: Headers;
  readonly crashes: number;
  /** "replay-…": no lease is held. */
  readonly leaseToken: string;
  /** That of the options: no timeout runs, so that one may stop and look. */
  readonly signal: AbortSignal;
  progress(value: unknown): void;
  /** To `onLog` of the options. */
  log(text: string): void;
  /** What is stored as done is answered, and not done again; anything else is carried out, and known in this run alone. */
  once<R>(
    key: string,
    effect: () => R | Promise<R>,
    options?: { readonly ifInterrupted?: () => R | Promise<R> },
  ): Promise<R>;
}

export type ReplayHandler = (payload: never, task: ReplayContext) => unknown;

export interface ReplayOptions {
  /** Its codec and schema read the payload, its retry policy says what would come of a failure; JSON unless given. */
  readonly definition?: AnyDefinition | undefined;
  readonly signal?: AbortSignal | undefined;
  /** What the handler reports. */
  readonly onProgress?: ((value: unknown) => void) | undefined;
  /** What the handler says with `task.log`. */
  readonly onLog?: ((text: string) => void) | undefined;
  /** Right before the handler is called. */
  readonly onStart?: (() => void) | undefined;
}

export type ReplayResult = { readonly durationMs: number; readonly attempt: number } & (
  | { readonly status: "completed"; readonly result: unknown }
  /** `outcome`: what a worker would make of the error. */
  | { readonly status: "failed"; readonly error: unknown; readonly outcome: Outcome }
);

/**
 * Runs a handler on a task as it is stored, here and now, and leaves the task as it is. What the handler does beyond that
 * (mails, other databases) it does.
 * @throws OPTION_INVALID where the stored message cannot be decoded
 */
export async function replay(
  letter: StoredLetter,
  handler: ReplayHandler,
  { definition, signal = new AbortController().signal, onProgress, onLog, onStart }: ReplayOptions = {},
): Promise<ReplayResult> {
  if (typeof handler !== "function") throw invalidOption("replay.handler", `must be a function, got ${shown(handler)}`);
  const message = readable(decodeMessage, letter.message);
  if (message === undefined) throw invalidOption("replay.task", "what is stored of this task cannot be decoded");
  const { id, type, queue, maxRetry, headers, payload } = message;
  const attempt = message.retried + 1;
  const context: ReplayContext = {
    id,
    type,
    queue,
    attempt,
    maxRetry,
    headers,
    crashes: countIn(letter, "crashes"),
    leaseToken: `replay-${randomUUID()}`,
    signal,
    progress(value) {
      encodeProgress(value);
      onProgress?.(value);
    },
    log: (text) => onLog?.(text),
    once: effectsOf(letter),
  };
  const startedAtMs = systemClock.nowMs();
  const began = performance.now();
  const durationMs = () => Math.round(performance.now() - began);
  try {
    let value: unknown = decodePayload(definition?.codec ?? json, payload, type);
    if (definition?.schema !== undefined) value = await validate(definition.schema, value, type, "PAYLOAD_INVALID");
    onStart?.();
    const result = await handler(value as never, context);
    return { status: "completed", attempt, durationMs: durationMs(), result };
  } catch (error) {
    const tried = {
      message,
      returns: countIn(letter, "returns"),
      atMostOnce: textIn(letter, "once") === "1",
      startedAtMs,
      durationMs: durationMs(),
      keepStack: true,
    };
    const outcome = verdict(error, tried, definition?.retry ?? asynqBackoff(), systemClock.nowMs());
    return { status: "failed", attempt, durationMs: tried.durationMs, error, outcome };
  }
}

const textIn = ({ fields }: StoredLetter, name: string): string => Buffer.from(fields.get(name) ?? []).toString();
const countIn = (letter: StoredLetter, name: string): number => Math.max(0, Number(textIn(letter, name)) || 0);

/** Stored is "b" and a lease's token of one that began, or "d" and the result, JSON. */
function effectsOf(letter: StoredLetter): ReplayContext["once"] {
  const done = new Map<string, Promise<unknown>>();
  return async <R>(
    key: string,
    effect: () => R | Promise<R>,
    { ifInterrupted }: { ifInterrupted?: () => R | Promise<R> } = {},
  ) => {
    const stored = textIn(letter, `effect:${key}`);
    if (stored.startsWith("d")) return json.decode(Buffer.from(stored.slice(1))) as R;
    const act = stored === "" ? effect : ifInterrupted;
    if (act === undefined) throw new HoldfastError("EFFECT_INTERRUPTED", { id: letter.id, key });
    const underWay = done.get(key) ?? Promise.resolve().then(act);
    done.set(key, underWay);
    underWay.catch(() => done.delete(key));
    return underWay as Promise<R>;
  };
}
