/**
 * Every error that Holdfast throws, as one table: the key is the `code` programs match on, the value is the sentence
 * people read, and its parameter is the type of `error.data`. No sentence ever holds a payload, a password or a header.
 */
const sentences = {
  // The caller: fix the call.
  OPTION_INVALID: (d: { option: string; problem: string }) => `${d.option}: ${d.problem}`,
  PAYLOAD_INVALID: (d: { type: string; path: string; problem: string }) =>
    `payload of "${d.type}"${d.path === "" ? "" : ` at ${d.path}`}: ${d.problem}`,
  PAYLOAD_TOO_LARGE: (d: { type: string; bytes: number; maxBytes: number }) =>
    `payload of "${d.type}" has ${d.bytes} bytes, at most ${d.maxBytes} are allowed (maxPayloadBytes): ` +
    "store the data elsewhere and enqueue a reference to it",
  RESULT_INVALID: (d: { type: string; problem: string }) => `result of "${d.type}": ${d.problem}`,
  SEARCH_INVALID: (d: { column: number; problem: string }) => `the search, column ${d.column}: ${d.problem}`,
  HANDLER_EXISTS: (d: { type: string }) => `a handler for "${d.type}" is already registered`,
  // The caller: look again.
  TASK_NOT_FOUND: (d: { queue: string; id: string }) =>
    `no task ${d.id} in ${d.queue === "*" ? "any queue" : `queue "${d.queue}"`}`,
  GROUP_NOT_FOUND: (d: { fingerprint: string }) => `no failure group ${d.fingerprint}`,
  QUEUE_NOT_FOUND: (d: { queue: string }) => `no queue "${d.queue}"`,
  REDRIVE_NOT_FOUND: (d: { id: string }) => `no redrive ${d.id}`,
  RULE_NOT_FOUND: (d: { name: string }) => `no rule ${shown(d.name)}`,
  // The caller: not as things stand.
  NOT_QUARANTINED: (d: { queue: string; id: string; state: string }) =>
    `task ${d.id} of queue "${d.queue}" is not in quarantine (${d.state})`,
  REDRIVE_ENDED: (d: { id: string; status: string }) => `redrive ${d.id} is over (${d.status})`,
  QUEUE_NOT_EMPTY: (d: { queue: string }) => `queue "${d.queue}" holds tasks: only force drops it together with them`,
  TASK_ACTIVE: (d: { queue: string }) =>
    `tasks of queue "${d.queue}" are active: wait for them or cancel them before the queue is dropped`,
  // The producer: later, or less.
  ENQUEUE_LIMITED: (d: { perSecond: number; retryAfterMs: number }) =>
    `this client enqueues at most ${d.perSecond} tasks a second (rateLimit): there is room again in ${d.retryAfterMs} ms`,
  QUEUE_FULL: (d: { queue: string; pending: number; tasks: number; maxPending: number }) =>
    `queue "${d.queue}" has ${d.pending} tasks pending, with ${d.tasks} more it would pass ${d.maxPending} (maxPending)`,
  // The operator: storage.
  BROKER_UNAVAILABLE: (d: {
    broker: string;
    problem: string;
    outcome: CallOutcome;
    taskIds: readonly string[];
    /** The tasks are in, and fewer replicas than wanted have confirmed it in time. */
    acknowledged?: { readonly replicas: number; readonly wanted: number };
    /** Only these could not be asked. */
    queues?: readonly string[];
    /** Only of these, by their ids, nothing can be told. */
    workers?: readonly string[];
  }) =>
    d.queues !== undefined || d.workers !== undefined
      ? `${d.broker} is unavailable in part: ${d.problem}`
      : `${d.broker} ${d.problem.startsWith("NOPERM") ? "does not let this user" : "is unavailable"}: ${d.problem} ` +
        `(${outcomeSentences[d.outcome]})`,
  BROKER_FAILED: (d: { broker: string; problem: string }) => `${d.broker} failed: ${d.problem}`,
  BROKER_INCOMPATIBLE: (d: { broker: string; problem: string }) => `${d.broker} cannot be used: ${d.problem}`,
  BULK_INTERRUPTED: (d: BulkDone) =>
    `stopped by an error with ${d.moved} of ${d.total} tasks of queue "${d.queue}" done (${d.to}), ` +
    `${d.skipped} skipped: the batch that failed may be done as well, what comes after it is untouched`,
  RUN_INTERRUPTED: (d: { moved: number; requestId: string }) =>
    `stopped by an error with ${d.moved} dead letters run: the batch that failed may be done as well, the same call goes on`,
  SPOOL_FULL: (d: SpoolFullness) =>
    `the spool in ${d.directory} is full, nothing was accepted: ` +
    (d.diskFull
      ? "no room is left on its disk"
      : `${d.tasks} of ${d.maxTasks} tasks, ${d.bytes} of ${d.maxBytes} bytes`),
  SPOOL_FAILED: (d: { directory: string; problem: string }) => `the spool in ${d.directory} failed: ${d.problem}`,
  SPILL_FAILED: (d: { path: string; problem: string }) => `dead letters in ${d.path}: ${d.problem}`,
  // Nobody: it is over.
  CLOSED: (d: { what: string }) => `${d.what} is closed`,
  // Recorded on the task, and seen in the handler's `signal.reason`.
  TASK_TIMEOUT: (d: { timeoutMs: number }) => `the handler did not finish within ${d.timeoutMs} ms`,
  TASK_DEADLINE: (d: { deadlineMs: number }) =>
    `the task's deadline has passed (${new Date(d.deadlineMs).toISOString()})`,
  TASK_CANCELLED: (d: { id: string; how: "retry" | "archive" }) =>
    `task ${d.id} was cancelled${d.how === "archive" ? ", and is not to be tried again" : ""}`,
  LEASE_LOST: (d: { id: string }) => `the lease on task ${d.id} was lost: another worker may be running it`,
  WORKER_STOPPING: (d: { id: string }) => `the worker is stopping: task ${d.id} goes back to its queue`,
  EFFECT_INTERRUPTED: (d: { id: string; key: string }) =>
    `"${d.key}" of task ${d.id} was begun before, and nothing tells whether it was carried out`,
  HANDLER_MISSING: (d: { type: string }) => `no handler for "${d.type}" in this worker`,
  BUILD_TOO_OLD: (d: { type: string; build: string | undefined; minBuild: string }) =>
    `this task of type "${d.type}" asks for a worker of build ${d.minBuild} or later, this one is ${d.build ?? "of none"}`,
  MESSAGE_INVALID: (d: { problem: string; offset: number }) =>
    `the stored message cannot be decoded: ${d.problem} at byte ${d.offset}`,
};

/** How full a spool is; with `diskFull` its bounds are not met, but the disk has no room. */
export interface SpoolFullness {
  readonly directory: string;
  readonly tasks: number;
  readonly maxTasks: number;
  readonly bytes: number;
  readonly maxBytes: number;
  readonly diskFull: boolean;
}

/** How far a bulk act came: `scanned` entries were looked at, and of those the first are done. */
export interface BulkDone {
  readonly queue: string;
  readonly to: string;
  readonly moved: number;
  readonly skipped: number;
  readonly scanned: number;
  readonly total: number;
  readonly requestId: string;
}

/** Whether a failed call reached storage: `unknown` may have been carried out, the other two have not. */
export type CallOutcome = "notSent" | "refused" | "unknown";

const outcomeSentences: Record<CallOutcome, string> = {
  notSent: "nothing was sent",
  refused: "it was refused, nothing was changed",
  unknown: "it may have been carried out; repeat it with the same task ids",
};

export type ErrorCode = keyof typeof sentences;
export type ErrorData<C extends ErrorCode> = Parameters<(typeof sentences)[C]>[0];

/** All codes, for documentation and tests. */
export const errorCodes = Object.keys(sentences) as ErrorCode[];

/** The one error class. Match on `code`, read `data`; `cause` keeps what was thrown underneath. */
export class HoldfastError<C extends ErrorCode = ErrorCode> extends Error {
  override readonly name = "HoldfastError";
  readonly code: C;
  readonly data: ErrorData<C>;

  constructor(code: C, data: ErrorData<C>, options?: ErrorOptions) {
    super((sentences[code] as (d: ErrorData<C>) => string)(data), options);
    this.code = code;
    this.data = data;
  }

  /** True for a HoldfastError of that code, also when it comes from another copy of the package. */
  static is<C extends ErrorCode>(error: unknown, code: C): error is HoldfastError<C> {
    return error instanceof Error && error.name === "HoldfastError" && (error as HoldfastError).code === code;
  }
}

// An option's name may come from a caller's caller (a header, a queue): no line breaks get into a log by it.
// oxlint-disable-next-line no-control-regex
const control = /[\u0000-\u001f\u007f-\u009f]/g;

export const hasControl = (text: string): boolean => text.search(control) >= 0;

/** Thrown for an option that is not allowed: names the option, what came and what is allowed. */
export function invalidOption(option: string, problem: string): HoldfastError<"OPTION_INVALID"> {
  return new HoldfastError("OPTION_INVALID", { option: option.replaceAll(control, "\ufffd"), problem });
}

/** A short, safe picture of a value for an error sentence: never a payload, cut at 40 characters. */
export function shown(value: unknown): string {
  if (typeof value === "string") return quoted(value.length > 40 ? `${value.slice(0, 40)}…` : value);
  if (typeof value === "number" || typeof value === "boolean" || value === null || value === undefined) {
    return String(value);
  }
  if (typeof value === "bigint") return `${value}n`;
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? "an invalid Date" : value.toISOString();
  if (Array.isArray(value)) return "an array";
  return typeof value === "function" ? "a function" : `a value of type ${typeof value}`;
}

/** JSON's way leaves some control characters as they are, among them one that begins a terminal's commands. */
const quoted = (text: string) =>
  JSON.stringify(text).replaceAll(control, (found) => `\\u${found.charCodeAt(0).toString(16).padStart(4, "0")}`);
