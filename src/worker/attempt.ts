import { hostname } from "node:os";
import type { Lease, LeasedTask } from "../broker/broker.js";
import { isOlderBuild, minBuildHeader } from "../core/build.js";
import type { Clock } from "../core/clock.js";
import { HoldfastError } from "../core/errors.js";
import { defaultTimeoutMs } from "../core/message.js";
import { unfailing } from "../core/log.js";
import type { Headers } from "../core/names.js";
import { type Failure, maxNameChars, type Outcome, verdict } from "../core/outcome.js";
import { encodeProgress } from "../core/progress.js";
import { asynqBackoff } from "../core/retry.js";
import { isRetryAfter, isRevoke, isSkipRetry } from "../core/steering.js";
import { tellTask } from "../core/telemetry.js";
import { traceIdOf } from "../core/trace.js";
import { AttemptLog } from "./attempt-log.js";
import type { Remember } from "./effect-store.js";
import { Effects, type OnceOptions } from "./effects.js";
import type { Handlers, TaskContext } from "./handlers.js";
import { linkOf } from "./log-link.js";
import type { ResolvedWorkerOptions } from "./options.js";

export interface AttemptEvents {
  /** `undefined`: the lease is lost, there is nothing to settle. */
  readonly onEnded: (outcome: Outcome | undefined) => void;
  readonly onProgress: (lease: Lease, bytes: Uint8Array) => void;
  readonly remember: Remember;
}

type AbortReason = HoldfastError<
  "TASK_TIMEOUT" | "TASK_DEADLINE" | "TASK_CANCELLED" | "LEASE_LOST" | "WORKER_STOPPING"
>;

/** setTimeout takes no longer delay than this; a longer limit is armed again when it fires. */
const longestTimerMs = 2_147_483_647;
const host = hostname().slice(0, maxNameChars);
/** For tasks that no handler of this worker knows: the definition, and with it the policy, is elsewhere. */
const unknownTypePolicy = asynqBackoff();

/** One run of one task: its context, its limits in time, and what came of it, told exactly once. */
export class Attempt implements TaskContext {
  readonly leased: LeasedTask;
  readonly startedAtMs: number;
  readonly #handlers: Handlers;
  readonly #options: ResolvedWorkerOptions;
  readonly #clock: Clock;
  readonly #ended: AttemptEvents["onEnded"];
  readonly #onProgress: AttemptEvents["onProgress"];
  readonly #remember: Remember;
  /** When the signal is to abort, Unix ms. */
  readonly limitMs: number;
  #effects: Effects | undefined;
  #log: AttemptLog | undefined;
  #controller: AbortController | undefined;
  #aborted: AbortReason | undefined;
  #timer: NodeJS.Timeout | undefined;
  #over = false;

  constructor(
    leased: LeasedTask,
    handlers: Handlers,
    options: ResolvedWorkerOptions,
    clock: Clock,
    { onEnded, onProgress, remember }: AttemptEvents,
  ) {
    this.leased = leased;
    this.#handlers = handlers;
    this.#options = options;
    this.#clock = clock;
    this.#ended = onEnded;
    this.#onProgress = onProgress;
    this.#remember = remember;
    this.startedAtMs = clock.nowMs();
    this.limitMs = limitMs(leased, this.startedAtMs);
  }

  get id(): string {
    return this.leased.message.id;
  }
  get type(): string {
    return this.leased.message.type;
  }
  get queue(): string {
    return this.leased.message.queue;
  }
  get attempt(): number {
    return this.leased.message.retried + 1;
  }
  get maxRetry(): number {
    return this.leased.message.maxRetry;
  }
  get headers(): Headers {
    return this.leased.message.headers;
  }
  get crashes(): number {
    return this.leased.crashes;
  }
  get leaseToken(): string {
    return this.leased.lease.token;
  }

  /** Made when first asked for: most handlers never look. */
  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.#aborted !== undefined) this.#controller.abort(this.#aborted);
    }
    return this.#controller.signal;
  }

  progress(value: unknown): void {
    const bytes = encodeProgress(value);
    if (!this.#over) this.#onProgress(this.leased.lease, bytes);
  }

  log(said: unknown): void {
    if (this.#over) return;
    const text = String(said);
    this.#log ??= new AttemptLog();
    this.#log.add(text, this.#clock.nowMs() - this.startedAtMs);
    const { queue, type, id, attempt } = this;
    unfailing(this.#options.log).info({ queue, type, id, attempt }, text);
  }

  once<R>(key: string, effect: () => R | Promise<R>, options?: OnceOptions<R>): Promise<R> {
    this.#effects ??= new Effects(this.leased, this.signal, this.#remember);
    return this.#effects.once(key, effect, options);
  }

  start(): void {
    const { message } = this.leased;
    tellTask({ event: "started", queue: this.queue, type: this.type, id: this.id, attempt: this.attempt });
    if (message.deadlineMs !== 0 && this.startedAtMs >= message.deadlineMs) {
      this.#failed(new HoldfastError("TASK_DEADLINE", { deadlineMs: message.deadlineMs }));
      return;
    }
    const minBuild = message.headers[minBuildHeader];
    const { build } = this.#options;
    if (isOlderBuild(build, minBuild)) {
      this.#failed(new HoldfastError("BUILD_TOO_OLD", { type: this.type, build, minBuild: minBuild! }));
      return;
    }
    this.#arm();
    this.#handlers.run(message.payload, this, message.retentionMs > 0).then(
      (result) => this.#end(result === undefined ? { kind: "completed" } : { kind: "completed", result }),
      (error: unknown) => this.#failed(error),
    );
  }

  /** Abort the signal; the handler has the abort grace to come to an end, then it is abandoned. */
  abort(reason: AbortReason): void {
    if (this.#over || this.#aborted !== undefined) return;
    this.#aborted = reason;
    this.#controller?.abort(reason);
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      const afterMs = this.#clock.nowMs() - this.startedAtMs;
      tellTask({ event: "abandoned", queue: this.queue, type: this.type, id: this.id, afterMs });
      this.#options.log.warn(
        { queue: this.queue, type: this.type, id: this.id, afterMs },
        "a handler did not stop when its signal aborted: it is abandoned, and may still be running",
      );
      this.#failed(reason);
    }, this.#options.abortGraceMs);
  }

  #arm(): void {
    const leftMs = this.limitMs - this.#clock.nowMs();
    this.#timer = setTimeout(
      () => (leftMs > longestTimerMs ? this.#arm() : this.abort(this.#limitError())),
      Math.min(leftMs, longestTimerMs),
    );
  }

  #limitError(): HoldfastError<"TASK_TIMEOUT" | "TASK_DEADLINE"> {
    const { deadlineMs } = this.leased.message;
    return this.limitMs === deadlineMs
      ? new HoldfastError("TASK_DEADLINE", { deadlineMs })
      : new HoldfastError("TASK_TIMEOUT", { timeoutMs: this.limitMs - this.startedAtMs });
  }

  #failed(error: unknown): void {
    // What a handler says on purpose counts also after an abort; any other error is then the abort's doing.
    const steering = isSkipRetry(error) || isRetryAfter(error) || isRevoke(error);
    const cause = steering ? error : (this.#aborted ?? error);
    const nowMs = this.#clock.nowMs();
    const attempt = {
      message: this.leased.message,
      returns: this.leased.returns,
      atMostOnce: this.leased.atMostOnce,
      startedAtMs: this.startedAtMs,
      durationMs: nowMs - this.startedAtMs,
      keepStack: this.#options.keepStacks,
      scrub: this.#options.scrub,
      known: this.#known(nowMs),
      fingerprint: this.#handlers.fingerprintOf(this.type),
    };
    this.#end(verdict(cause, attempt, this.#handlers.policyOf(this.type) ?? unknownTypePolicy, nowMs));
  }

  /** What goes with the failure of this attempt. */
  #known(nowMs: number): Pick<Failure, "attempt" | "host" | "build" | "log" | "logUrl"> {
    const { scrub, build, logLink } = this.#options;
    const log = this.#log?.lines(scrub);
    const logUrl =
      logLink === undefined
        ? undefined
        : linkOf(logLink, {
            id: this.id,
            queue: this.queue,
            type: this.type,
            attempt: String(this.attempt),
            host,
            build: build ?? "",
            traceId: traceIdOf(this.headers) ?? "",
            startedAt: new Date(this.startedAtMs).toISOString(),
            endedAt: new Date(nowMs).toISOString(),
          });
    return {
      attempt: this.attempt,
      host,
      ...(build === undefined ? {} : { build }),
      ...(log === undefined ? {} : { log }),
      ...(logUrl === undefined ? {} : { logUrl }),
    };
  }

  #end(outcome: Outcome): void {
    if (this.#over) return;
    this.#over = true;
    clearTimeout(this.#timer);
    tellTask({
      event: "finished",
      queue: this.queue,
      type: this.type,
      id: this.id,
      attempt: this.attempt,
      outcome: outcome.kind,
      reason: "failure" in outcome ? outcome.failure.reason : undefined,
      durationMs: this.#clock.nowMs() - this.startedAtMs,
    });
    this.#ended(HoldfastError.is(this.#aborted, "LEASE_LOST") ? undefined : outcome);
  }
}

/**
 * When the task's timeout or deadline, whichever comes first, ends an attempt started now, Unix ms. A message with neither
 * (a Go client's timeout below one second is stored so) gets the default timeout, as in asynq.
 */
export function limitMs({ message }: LeasedTask, startedAtMs: number): number {
  const { timeoutMs, deadlineMs } = message;
  if (timeoutMs === 0 && deadlineMs !== 0) return deadlineMs;
  const timeoutAtMs = startedAtMs + (timeoutMs === 0 ? defaultTimeoutMs : timeoutMs);
  return deadlineMs === 0 ? timeoutAtMs : Math.min(timeoutAtMs, deadlineMs);
}
