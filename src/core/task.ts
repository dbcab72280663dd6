import type { StandardSchemaV1 } from "@standard-schema/spec";
import type { Duration } from "./duration.js";
import { HoldfastError, invalidOption, shown } from "./errors.js";
import { noHeaders, queueName, taskHeaders, taskName } from "./names.js";
import { type Codec, json } from "./payload.js";
import { type RetryPolicy, asynqBackoff } from "./retry.js";
import { type RetryBudget, retryBudgetOf } from "./retry-budget.js";
import { type Given, type Resolved, resolve, resolveGiven, setting } from "./settings.js";

/** Options that a definition sets for all its tasks, and a call for one. */
export const taskSettings = {
  queue: setting.text({
    default: "default",
    allowed: "1 to 128 letters, digits or _ . : -",
    says: "the queue the task waits in",
    parse: queueName,
  }),
  maxRetry: setting.integer({ default: 25, max: 2_147_483_647, says: "how often a failed task is tried again" }),
  timeout: setting.duration({
    default: undefined,
    min: "1s",
    says: "longest one attempt may run before its signal aborts; rounded up to whole seconds; 30m unless a deadline is set",
  }),
  deadline: setting.date({ says: "the time at which the task must be finished; rounded up to whole seconds" }),
  retention: setting.duration({ default: "0s", says: "how long a completed task and its result are kept" }),
  unique: setting.duration({
    default: undefined,
    min: "1s",
    says: "for how long no second task of this type, queue and payload is taken, unless this one completes before",
  }),
  headers: setting.record<string, ReturnType<typeof taskHeaders>>({
    default: noHeaders,
    allowed: "an object of strings, at most 16 KiB",
    says: "context that travels with the task, such as a trace id",
    parse: taskHeaders,
  }),
  delivery: setting.choice({
    of: ["at-least-once", "at-most-once"],
    default: "at-least-once",
    says: "whether a task runs again after a crash of its worker; with at-most-once it is archived then",
  }),
  sideEffects: setting.choice({
    of: ["idempotent", "needs-human"],
    default: undefined,
    says: "whether a dead letter may be run again together with others; with needs-human somebody decides on each. Travels as a header",
  }),
  importance: setting.choice({
    of: ["low", "normal", "high"],
    default: "normal",
    says: "which tasks a client with maxPending refuses first; it has no part in the order of running, and is not stored",
  }),
};

/** Options of one call alone. */
export const callSettings = {
  ...taskSettings,
  id: setting.text({
    default: undefined,
    allowed: "1 to 256 bytes of text without control characters",
    says: "the task's id, unique in its queue; made for you (a UUID) unless given",
    parse: taskName,
  }),
  processAt: setting.date({ says: "not before this time; rounded up to whole seconds" }),
  processIn: setting.duration({ default: undefined, says: "not before this much time has passed" }),
};

export type TaskOptions = Given<typeof callSettings>;
export type Importance = NonNullable<TaskOptions["importance"]>;
type SharedOptions = Given<typeof taskSettings>;

export interface DefinitionOptions<In> extends SharedOptions {
  /** When a failed task runs again. Default: asynq's curve, 15 s and more, growing with the fourth power. */
  readonly retry?: RetryPolicy;
  /** At most so many retries of this type a minute, in each worker: what fails beyond that is tried again later. */
  readonly retryBudget?: RetryBudget;
  /**
   * What stands for the cause of an error, at most 256 characters: dead letters for which it is the same are one failure
   * group, also of several types. Default, and where it answers nothing: type, error class, message and stack.
   */
  readonly fingerprint?: (error: unknown) => string | undefined;
  /** How the payload becomes bytes. Default: JSON. */
  readonly codec?: Codec<In>;
}

interface SchemaOptions<S extends StandardSchemaV1> extends DefinitionOptions<StandardSchemaV1.InferInput<S>> {
  /** Any Standard Schema (zod, valibot, arktype …): payloads are checked when they are enqueued and when they are handled. */
  readonly schema: S;
}

interface ResultOptions<RS extends StandardSchemaV1> {
  /** A Standard Schema of what the handler returns; needs `retention`, for a result is kept with the completed task. */
  readonly result: RS;
  readonly retention: Duration;
}

// oxlint-disable-next-line typescript/no-explicit-any -- of any payload and result: both are taken and given, so no other type fits all
type Any = any;
export type AnyDefinition = TaskDefinition<Any, Any, Any>;
export type AnyRequest = TaskRequest<Any>;

/** A call of a definition: what `client.enqueue` takes. Nothing has been sent. */
export interface TaskRequest<In> {
  readonly definition: TaskDefinition<In, Any, Any>;
  readonly payload: In;
  readonly options: Partial<Resolved<typeof callSettings>> | undefined;
}

type CallArguments<In> = undefined extends In
  ? [payload?: In, options?: TaskOptions]
  : [payload: In, options?: TaskOptions];

/** A kind of task: its type (name), its options, and the types of its payload and result. Call it to make a request. */
export interface TaskDefinition<In, R = void, Out = In> {
  (...args: CallArguments<In>): TaskRequest<In>;
  readonly type: string;
  readonly options: Resolved<typeof taskSettings> & Partial<Resolved<typeof callSettings>>;
  readonly codec: Codec<In>;
  readonly retry: RetryPolicy;
  readonly retryBudget: RetryBudget | undefined;
  readonly fingerprint: ((error: unknown) => string | undefined) | undefined;
  readonly schema: StandardSchemaV1<In, Out> | undefined;
  readonly result: StandardSchemaV1<unknown, R> | undefined;
}

/**
 * Define a kind of task once, and share it between those who enqueue and those who work.
 *
 * @example
 * const sendWelcome = defineTask<{ userId: string }>("email:welcome", { queue: "critical", timeout: "30s" });
 * const resize = defineTask("image:resize", { schema: z.object({ src: z.string() }) });
 * const report = defineTask<{ day: string }, { rows: number }>("report:daily", { retention: "1d" });
 *
 * @throws OPTION_INVALID for an unknown option, a value that is not allowed, or a result without retention
 */
export function defineTask<S extends StandardSchemaV1, RS extends StandardSchemaV1>(
  type: string,
  options: SchemaOptions<S> & ResultOptions<RS>,
): TaskDefinition<StandardSchemaV1.InferInput<S>, StandardSchemaV1.InferOutput<RS>, StandardSchemaV1.InferOutput<S>>;
export function defineTask<S extends StandardSchemaV1>(
  type: string,
  options: SchemaOptions<S> & { readonly result?: never },
): TaskDefinition<StandardSchemaV1.InferInput<S>, void, StandardSchemaV1.InferOutput<S>>;
export function defineTask<P, R>(
  type: string,
  options: DefinitionOptions<P> & { readonly retention: Duration },
): TaskDefinition<P, R>;
export function defineTask<P = undefined>(type: string, options?: DefinitionOptions<P>): TaskDefinition<P>;
export function defineTask(
  type: string,
  options: DefinitionOptions<Any> & { schema?: StandardSchemaV1<Any, Any>; result?: StandardSchemaV1<Any, Any> } = {},
): AnyDefinition {
  taskName(type, "type");
  const { schema, result, codec = json, retry = asynqBackoff(), retryBudget: given, fingerprint, ...shared } = options;
  const owner = `defineTask("${type}")`;
  const settled = resolve(taskSettings, shared, owner);
  if (typeof retry !== "function") throw invalidOption(`${owner}.retry`, `must be a function, got ${shown(retry)}`);
  if (fingerprint !== undefined && typeof fingerprint !== "function")
    throw invalidOption(`${owner}.fingerprint`, `must be a function, got ${shown(fingerprint)}`);
  const retryBudget = retryBudgetOf(given, `${owner}.retryBudget`);
  for (const [name, one] of Object.entries({ schema, result })) {
    if (one !== undefined && typeof one?.["~standard"]?.validate !== "function") {
      throw invalidOption(`${owner}.${name}`, `must be a Standard Schema (zod, valibot, arktype …), got ${shown(one)}`);
    }
  }
  if (result !== undefined && settled.retentionMs === 0) {
    throw invalidOption(
      `${owner}.retention`,
      'must be given with a result, for example "1d": a result is kept with its task',
    );
  }
  const request = (payload: unknown, call?: TaskOptions): AnyRequest => ({
    definition,
    payload,
    options: call === undefined ? undefined : requestOptions(call, type),
  });
  const definition = Object.assign(request, {
    type,
    options: settled,
    codec,
    retry,
    retryBudget,
    fingerprint,
    schema,
    result,
  }) as AnyDefinition;
  return Object.freeze(definition);
}

function requestOptions(call: TaskOptions, type: string) {
  if (call.processAt !== undefined && call.processIn !== undefined) {
    throw invalidOption(`${type}.processIn`, "cannot be given together with processAt");
  }
  return resolveGiven(callSettings, call, type);
}

/** Check a value with a schema; the answer is what the schema made of it. @throws PAYLOAD_INVALID with the first issue */
export async function validate<Out>(
  schema: StandardSchemaV1<unknown, Out>,
  value: unknown,
  type: string,
  code: "PAYLOAD_INVALID" | "RESULT_INVALID",
): Promise<Out> {
  const checked = await schema["~standard"].validate(value);
  if (checked.issues === undefined) return checked.value;
  const issue = checked.issues[0];
  const path = (issue?.path ?? []).map((step) => String(typeof step === "object" ? step.key : step)).join(".");
  // An issue's own sentence may quote the value, so it is kept as the cause, not in the message.
  const cause = new Error(issue?.message ?? "invalid");
  const problem = `does not fit the schema (${checked.issues.length} issue${checked.issues.length === 1 ? "" : "s"})`;
  throw code === "PAYLOAD_INVALID"
    ? new HoldfastError(code, { type, path, problem }, { cause })
    : new HoldfastError(code, { type, problem: path === "" ? problem : `${problem} at ${path}` }, { cause });
}
