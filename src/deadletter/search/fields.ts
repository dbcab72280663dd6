/** What a term may ask for: the table that the parser, its errors and the guide go by. */
export type FieldKind =
  /** A name: as a whole, with `*` for any part, or a part of it (`~`). */
  | "name"
  /** One of some words. */
  | "word"
  /** The beginning of a fingerprint. */
  | "prefix"
  /** A part of a text (`~`). */
  | "text"
  /** How long ago, or a date. */
  | "when"
  | "number"
  | "duration"
  /** A value within the payload, by its path. */
  | "path"
  /** A header, by its name. */
  | "header";

export interface Field {
  readonly kind: FieldKind;
  readonly says: string;
  readonly example: string;
}

export const searchFields = {
  state: { kind: "word", says: "where the task is; dead letters unless given", example: "state:dead" },
  queue: { kind: "name", says: "the queue", example: "queue:billing" },
  type: { kind: "name", says: "the task's type", example: "type:invoice.*" },
  id: { kind: "name", says: "the task's id", example: "id:0199cc0e-3f2a-7c51-9d0b-6a54a9f3d0c1" },
  reason: { kind: "word", says: "why it is a dead letter", example: "reason:lease_expired" },
  class: { kind: "name", says: "the class of its last error", example: "class:SmtpError" },
  err: { kind: "text", says: "a part of its last error's message", example: 'err~"timeout"' },
  fp: { kind: "prefix", says: "the beginning of its fingerprint", example: "fp:v1:ab12" },
  failed: { kind: "when", says: "when it failed last", example: "failed:>2h" },
  age: { kind: "when", says: "when it became a dead letter", example: "age:>24h" },
  enqueued: { kind: "when", says: "when it was enqueued; not known of ids that Go made", example: "enqueued:<7d" },
  retried: { kind: "number", says: "how many failures were counted", example: "retried:>=3" },
  crashes: { kind: "number", says: "how often its worker died", example: "crashes:>0" },
  took: { kind: "duration", says: "how long the last attempt took", example: "took:>30s" },
  payload: { kind: "path", says: "a value in its JSON payload", example: "payload.customer.id:42" },
  header: { kind: "header", says: "a header", example: "header.traceparent:00-4bf92f*" },
  is: { kind: "word", says: "what was done about it, or said of it", example: "is:acknowledged" },
  build: { kind: "name", says: "the build of the worker that failed", example: "build:1.4.2" },
  host: { kind: "name", says: "the host of the worker that failed", example: "host:web-1" },
} as const satisfies Readonly<Record<string, Field>>;

export type FieldName = keyof typeof searchFields;
export const fieldNames = Object.keys(searchFields) as FieldName[];

export const isField = (name: string): name is FieldName => Object.hasOwn(searchFields, name);
