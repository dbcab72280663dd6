import { groupOf } from "../../broker/failure-groups.js";
import type { TaskInfo } from "../../core/info.js";
import { idTimeMs } from "../../core/ids.js";
import type { FieldName } from "./fields.js";
import { compareDecimals, isDecimal } from "./decimal.js";
import { hasValueAt, type JsonValue } from "./json-path.js";
import type { FieldTerm, SearchOperator, SearchQuery, SearchTerm, SearchValue } from "./query.js";
import { contains, containsExactly, equals, type TextTest } from "./texts.js";
import { anyState, dateMs, durationMs, isWords, wordOf } from "./values.js";

export type Matcher = (task: TaskInfo) => boolean;

/**
 * Whether a task is what a search asks for. `nowMs` is from when on "2h" counts. Takes time in proportion to the task's
 * size, whatever is asked for.
 */
export function matcherOf({ terms }: SearchQuery, nowMs: number): Matcher {
  const tests = terms.map((term) => ({ negated: term.negated, test: testOf(term, nowMs) }));
  return (task) => {
    const view = new View(task);
    return tests.every(({ negated, test }) => test(view) !== negated);
  };
}

/** A task, and what is made of it only once. */
class View {
  readonly task: TaskInfo;
  #payload: string | undefined | null = null;

  constructor(task: TaskInfo) {
    this.task = task;
  }

  /** The payload as text; undefined where it is none. */
  get payload(): string | undefined {
    if (this.#payload === null) this.#payload = textOf(this.task.message?.payload);
    return this.#payload;
  }
}

const decoder = new TextDecoder("utf-8", { fatal: true });

function textOf(bytes: Uint8Array | undefined): string | undefined {
  if (bytes === undefined) return undefined;
  try {
    return decoder.decode(bytes);
  } catch {
    return undefined;
  }
}

type Test = (view: View) => boolean;

function testOf(term: SearchTerm, nowMs: number): Test {
  if (term.kind === "text") return anywhere(term.value);
  const { field, path, op, values } = term;
  if (field === "payload") return payloadTest(path, op, values);
  if (field === "header") return headerTest(path, op, values);
  if (field === "is") return ({ task }) => values.some(({ text }) => isWords[text]?.(task) === true);
  const compare = comparedTest(term, nowMs);
  if (compare !== undefined) return compare;
  const tests = values.map((value) => textTest(field, op, value));
  return ({ task }) => {
    const text = texts[field as keyof typeof texts](task);
    return text !== undefined && tests.some((test) => test(text));
  };
}

/** Of a field that is compared; undefined for one that is a text. */
function comparedTest({ field, op, values }: FieldTerm, nowMs: number): Test | undefined {
  const known = figures[field as keyof typeof figures];
  if (known === undefined) return undefined;
  const wanted = values.map(({ text }) => figureOf(field, op, text, nowMs));
  return ({ task }) => {
    const figure = known(task);
    return figure !== undefined && wanted.some((test) => test(figure));
  };
}

/** What a field that is a text says of a task; undefined: nothing. */
const texts = {
  state: ({ state }) => state,
  queue: ({ queue }) => queue,
  type: ({ message }) => message?.type,
  id: ({ id }) => id,
  reason: ({ failure }) => failure?.reason,
  class: ({ failure }) => failure?.class,
  err: ({ failure, message }) => failure?.message ?? message?.lastError,
  fp: (task) => (task.failure === undefined ? undefined : groupOf(task)),
  build: ({ failure }) => failure?.build,
  host: ({ failure }) => failure?.host,
} satisfies Partial<Record<FieldName, (task: TaskInfo) => string | undefined>>;

export function textTest(field: FieldName, op: SearchOperator, value: SearchValue): TextTest {
  if (op === "~") return contains(value);
  if (field === "state") {
    const word = wordOf(field, value.text);
    return (state) => word === anyState || state === word;
  }
  if (field === "fp") return (fingerprint) => fingerprint.startsWith(value.text);
  return equals(value);
}

/** What a field that is compared says of a task: a number, a length of time or a point in time. */
const figures = {
  failed: ({ message, failure }) => {
    const atMs = Math.max(
      message?.lastFailedAtMs ?? 0,
      failure === undefined ? 0 : failure.startedAtMs + failure.durationMs,
    );
    return atMs === 0 ? undefined : atMs;
  },
  age: ({ archivedAtMs }) => archivedAtMs,
  enqueued: ({ id }) => idTimeMs(id),
  retried: ({ message }) => message?.retried,
  crashes: ({ crashes }) => crashes,
  took: ({ failure }) => failure?.durationMs,
} satisfies Partial<Record<FieldName, (task: TaskInfo) => number | undefined>>;

function figureOf(field: FieldName, op: SearchOperator, text: string, nowMs: number): (figure: number) => boolean {
  if (field === "retried" || field === "crashes") return compared(op, Number(text));
  const lengthMs = durationMs(text);
  if (field === "took") return compared(op, lengthMs ?? 0);
  // More than two hours ago is before then; of dates, more is later.
  return lengthMs === undefined ? compared(op, dateMs(text) ?? 0) : (atMs) => compared(op, lengthMs)(nowMs - atMs);
}

function compared(op: SearchOperator, wanted: number): (value: number) => boolean {
  return (value) => holds(op, value < wanted ? -1 : value > wanted ? 1 : 0);
}

function holds(op: SearchOperator, order: -1 | 0 | 1): boolean {
  switch (op) {
    case ":":
      return order === 0;
    case ">":
      return order > 0;
    case ">=":
      return order >= 0;
    case "<":
      return order < 0;
    case "<=":
      return order <= 0;
    case "~":
      return false;
  }
}

function payloadTest(path: readonly SearchValue[], op: SearchOperator, values: readonly SearchValue[]): Test {
  if (path.length === 0) {
    const tests = values.map(contains);
    return ({ payload }) => payload !== undefined && tests.some((test) => test(payload));
  }
  const tests = values.map((value) => jsonTest(op, value));
  return ({ payload }) =>
    payload !== undefined && hasValueAt(payload, path, (found) => tests.some((test) => test(found)));
}

function jsonTest(op: SearchOperator, wanted: SearchValue): (value: JsonValue) => boolean {
  const { text, quoted } = wanted;
  const isNumber = !quoted && isDecimal(text);
  const matches = op === "~" ? contains(wanted) : equals(wanted);
  return (value) => {
    if (value.kind === "container") return op === ":" && text === "*" && !quoted;
    // Numbers are compared as numbers, also those that are sent as strings because they are too long for a double.
    if (op !== ":" && op !== "~") return isDecimal(value.text) && holds(op, compareDecimals(value.text, text));
    if (value.kind === "number" && isNumber && op === ":") return compareDecimals(value.text, text) === 0;
    if (quoted && op === ":" && value.kind !== "string") return false;
    return matches(value.text);
  };
}

function headerTest(path: readonly SearchValue[], op: SearchOperator, values: readonly SearchValue[]): Test {
  const name = path[0]!.text;
  const tests = values.map((value) => textTest("header", op, value));
  return ({ task }) => {
    const { headers } = task.message ?? {};
    if (headers === undefined || !Object.hasOwn(headers, name)) return false;
    const text = headers[name]!;
    return tests.some((test) => test(text));
  };
}

function anywhere(value: SearchValue): Test {
  const test = value.quoted ? containsExactly(value) : contains(value);
  return (view) => {
    const { task } = view;
    const { type, headers = {} } = task.message ?? {};
    const places = [task.id, type, task.failure?.class, texts.err(task), ...Object.values(headers), view.payload];
    return places.some((place) => place !== undefined && test(place));
  };
}
