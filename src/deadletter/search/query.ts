import { type FieldName } from "./fields.js";

/** What a search asks for: tasks for which every term holds. Made by `parseSearch`, plain data, and never changed. */
export interface SearchQuery {
  readonly terms: readonly SearchTerm[];
}

export type SearchTerm = TextTerm | FieldTerm;

/** A text, wherever it is: in id, type, error, headers or payload. */
export interface TextTerm {
  readonly kind: "text";
  readonly negated: boolean;
  readonly value: SearchValue;
}

export interface FieldTerm {
  readonly kind: "field";
  readonly negated: boolean;
  readonly field: FieldName;
  /** Of `payload` and `header`: `payload.customer.id` → ["customer", "id"]. Quoted steps are no wildcards. */
  readonly path: readonly SearchValue[];
  readonly op: SearchOperator;
  /** One of them is enough; exactly one where the operator compares. */
  readonly values: readonly SearchValue[];
}

/** `:` is equal (with `*` for any text), `~` contains, the others compare. */
export type SearchOperator = ":" | "~" | ">" | ">=" | "<" | "<=";

export interface SearchValue {
  readonly text: string;
  /** Taken as it stands: without wildcards, in a payload a string, and in a text with its capitals. */
  readonly quoted: boolean;
}

export const maxSearchChars = 2_000;
export const maxTerms = 50;
export const maxValues = 100;
/** Of one value. V8 searches a text for up to 250 characters in time in proportion to the text; for more it does not. */
export const maxValueChars = 200;

/** The query as text, that reads as the same query: for rules, records and "the same command goes on". */
export function printSearch({ terms }: SearchQuery): string {
  return terms.map(printTerm).join(" ");
}

function printTerm(term: SearchTerm): string {
  const sign = term.negated ? "-" : "";
  if (term.kind === "text") return sign + printValue(term.value);
  const name = [term.field, ...term.path.map(printValue)].join(".");
  const op = term.op === ":" || term.op === "~" ? term.op : `:${term.op}`;
  return `${sign}${name}${op}${term.values.map(printValue).join(",")}`;
}

const escapes: Readonly<Record<string, string>> = { '"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t" };

function printValue({ text, quoted }: SearchValue): string {
  // oxlint-disable-next-line no-control-regex
  return quoted ? `"${text.replaceAll(/["\\\u0000-\u001f\u007f-\u009f]/g, escaped)}"` : text;
}

const escaped = (character: string): string =>
  escapes[character] ?? `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;

/** A name of any characters means itself where a quoted value does; a plain one is easier to read without quotes. */
const plain = /^[\w.:/@%+=-]+$/;

/** What has exactly this name: any queue, type, id … that there is. To be combined with others it is printed. */
export function searchOf(field: FieldName, name: string): SearchQuery {
  const value = { text: name, quoted: !plain.test(name) };
  return { terms: [{ kind: "field", negated: false, field, path: [], op: ":", values: [value] }] };
}
