import { HoldfastError, invalidOption, shown } from "../core/errors.js";
import type { Headers } from "../core/names.js";
import { decodePayload, encodePayload, json } from "../core/payload.js";
import type { OnceOptions } from "./effects.js";
import type { RetryPolicy } from "../core/retry.js";
import { withinBudget } from "../core/retry-budget.js";
import { type AnyDefinition, validate } from "../core/task.js";

/** What a handler may know and use. */
export interface TaskContext {
  readonly id: string;
  readonly type: string;
  readonly queue: string;
  /** 1 at the first run, one more after each counted failure. */
  readonly attempt: number;
  readonly maxRetry: number;
  readonly headers: Headers;
  /** How often a worker died while it ran this task: a handler with side effects may want to look before it acts. */
  readonly crashes: number;
  /** Differs with each run of the task: give it to systems that fence late writers. */
  readonly leaseToken: string;
  /** Aborts on timeout, deadline, cancel, lost lease and forced stop; `signal.reason` is a HoldfastError that says which. */
  readonly signal: AbortSignal;
  /**
   * Tell others how far the handler is: any JSON value of at most 4 KiB, seen as `progress` by the inspector while the task
   * runs. Costs next to nothing: it is written once a second at the most, the last value of all tasks together.
   * @throws OPTION_INVALID
   */
  progress(value: unknown): void;
  /**
   * Say something of this attempt: if it fails, the last 20 lines, 2 KiB together, are kept with its failure, without their
   * secrets. Goes to the worker's `log` as well (info), as it is. Costs no round trip.
   */
  log(text: string): void;
  /**
   * Carry out an effect that must not happen twice: its result is stored with the task under `key`, and a later attempt gets
   * it instead of another effect. An effect that throws has not happened, and is tried again by the next attempt. One of which
   * nothing is known, for its worker died, is not repeated unless `ifInterrupted` says how. Two round trips.
   * @param key 1 to 256 bytes, unique within the task; a handful a task
   * @returns what the effect returned, as JSON tells it; at most 65,536 characters
   * @throws EFFECT_INTERRUPTED LEASE_LOST RESULT_INVALID OPTION_INVALID, and what the effect throws
   */
  once<R>(key: string, effect: () => R | Promise<R>, options?: OnceOptions<R>): Promise<R>;
}

export type Handler<P, R> = (payload: P, task: TaskContext) => R | Promise<R>;

/** Wraps every handler, the first one outermost. Return what `next` returned. */
export type Middleware = (task: TaskContext, next: () => Promise<unknown>) => Promise<unknown>;

export interface HandlerOptions {
  /** At most so many of this type run at once in this worker, 1 … 10,000. Default: the worker's concurrency. */
  readonly concurrency?: number;
}

interface Entry {
  readonly definition: AnyDefinition;
  readonly concurrency: number | undefined;
  /** Of this worker: a budget is its own. */
  readonly retry: RetryPolicy;
  readonly handler: Handler<unknown, unknown>;
}

/** Largest result, in encoded bytes. */
const maxResultBytes = 1_048_576;

/** The handlers of a worker by type, and the middleware around them. */
export class Handlers {
  readonly #entries = new Map<string, Entry>();
  readonly #middlewares: Middleware[] = [];

  /** @throws HANDLER_EXISTS OPTION_INVALID */
  add(definition: AnyDefinition, handler: Handler<never, unknown>, options: HandlerOptions = {}): void {
    if (typeof definition !== "function" || typeof definition.type !== "string") {
      throw invalidOption("handle", `takes what defineTask answered, got ${shown(definition)}`);
    }
    if (typeof handler !== "function") throw invalidOption("handle", `takes a function, got ${shown(handler)}`);
    if (this.#entries.has(definition.type)) throw new HoldfastError("HANDLER_EXISTS", { type: definition.type });
    const { concurrency } = options;
    if (concurrency !== undefined && (!Number.isInteger(concurrency) || concurrency < 1 || concurrency > 10_000))
      throw invalidOption("handle.concurrency", `must be a whole number, 1 … 10000, got ${shown(concurrency)}`);
    const { type, retryBudget } = definition;
    const retry = retryBudget === undefined ? definition.retry : withinBudget(definition.retry, retryBudget);
    // The payload it is called with is what its own definition decodes.
    this.#entries.set(type, { definition, concurrency, retry, handler: handler as Handler<unknown, unknown> });
  }

  wrap(middleware: Middleware): void {
    if (typeof middleware !== "function") throw invalidOption("use", `takes a function, got ${shown(middleware)}`);
    this.#middlewares.push(middleware);
  }

  /** When a task of that type is tried again; undefined where this worker has no handler for it. */
  policyOf(type: string): RetryPolicy | undefined {
    return this.#entries.get(type)?.retry;
  }

  /** What says which errors of that type have one cause, where its definition does. */
  fingerprintOf(type: string): AnyDefinition["fingerprint"] {
    return this.#entries.get(type)?.definition.fingerprint;
  }

  /** How many of a type may run at once, where it has such a bound. */
  limitOf(type: string): number | undefined {
    return this.#entries.get(type)?.concurrency;
  }

  definitions(): AnyDefinition[] {
    return [...this.#entries.values()].map(({ definition }) => definition);
  }

  /** Decode, check, run through the middleware, and answer the encoded result, if it is to be kept. */
  async run(payload: Uint8Array, task: TaskContext, keepResult: boolean): Promise<Uint8Array | undefined> {
    const entry = this.#entries.get(task.type);
    if (entry === undefined) throw new HoldfastError("HANDLER_MISSING", { type: task.type });
    const { definition, handler } = entry;
    let value = decodePayload(definition.codec, payload, task.type);
    if (definition.schema !== undefined) value = await validate(definition.schema, value, task.type, "PAYLOAD_INVALID");
    const result =
      this.#middlewares.length === 0
        ? await handler(value, task)
        : await this.#through(0, task, async () => handler(value, task));
    if (!keepResult || result === undefined) return undefined;
    return encodeResult(definition, result);
  }

  #through(index: number, task: TaskContext, innermost: () => Promise<unknown>): Promise<unknown> {
    const middleware = this.#middlewares[index];
    return middleware === undefined ? innermost() : middleware(task, () => this.#through(index + 1, task, innermost));
  }
}

async function encodeResult(definition: AnyDefinition, result: unknown): Promise<Uint8Array> {
  const { type } = definition;
  const checked =
    definition.result === undefined ? result : await validate(definition.result, result, type, "RESULT_INVALID");
  let bytes: Uint8Array;
  try {
    bytes = checked instanceof Uint8Array ? checked : encodePayload(json, checked, type);
  } catch (error) {
    throw new HoldfastError("RESULT_INVALID", {
      type,
      problem: (error as HoldfastError<"PAYLOAD_INVALID">).data.problem,
    });
  }
  if (bytes.length > maxResultBytes) {
    throw new HoldfastError("RESULT_INVALID", {
      type,
      problem: `${bytes.length} bytes, at most ${maxResultBytes} are allowed`,
    });
  }
  return bytes;
}
