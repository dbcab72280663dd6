import { HoldfastError, hasControl, shown } from "../../core/errors.js";
import { isDecimal } from "./decimal.js";
import { type Field, type FieldName, fieldNames, isField, searchFields } from "./fields.js";
import {
  maxSearchChars,
  maxTerms,
  maxValueChars,
  maxValues,
  type SearchOperator,
  type SearchQuery,
  type SearchTerm,
  type SearchValue,
} from "./query.js";
import { dateMs, durationMs, isWholeNumber, wordOf, wordsOf } from "./values.js";

/**
 * Reads a search: terms with blanks between them, all of which must hold. One walk over the text.
 *
 * @example parseSearch('queue:billing type:invoice.* err~"timeout" failed:>2h -reason:manual')
 * @throws SEARCH_INVALID with the column (from 1) and what is allowed there
 */
export function parseSearch(text: string): SearchQuery {
  if (typeof text !== "string") throw invalid(1, `a search is a text, got ${shown(text)}`);
  if (text.length > maxSearchChars)
    throw invalid(maxSearchChars + 1, `a search has at most ${maxSearchChars} characters, this one has ${text.length}`);
  if (!text.isWellFormed()) throw invalid(1, "it is no well-formed text (it holds a lone surrogate)");
  const reader = new Reader(text);
  const terms: SearchTerm[] = [];
  for (reader.skipBlanks(); !reader.atEnd; reader.skipBlanks()) {
    if (terms.length === maxTerms) throw invalid(reader.column, `a search has at most ${maxTerms} terms`);
    terms.push(termOf(reader));
  }
  if (terms.length === 0) throw invalid(1, "it asks for nothing; all dead letters are: state:dead");
  return { terms };
}

const invalid = (column: number, problem: string) => new HoldfastError("SEARCH_INVALID", { column, problem });

const isBlank = (character: string) =>
  character === " " || character === "\t" || character === "\n" || character === "\r";

/** The text, and how far it is read. */
class Reader {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  get column(): number {
    return this.#at + 1;
  }
  get atEnd(): boolean {
    return this.#at >= this.#text.length;
  }
  get next(): string {
    return this.#text.charAt(this.#at);
  }

  skipBlanks(): void {
    while (isBlank(this.next)) this.#at += 1;
  }

  /** Takes this text if it is next. */
  takes(text: string): boolean {
    if (!this.#text.startsWith(text, this.#at)) return false;
    this.#at += text.length;
    return true;
  }

  /** All up to a blank or one of these characters. */
  until(stops: string): string {
    const from = this.#at;
    while (!this.atEnd && !isBlank(this.next) && !stops.includes(this.next)) this.#at += 1;
    return this.#text.slice(from, this.#at);
  }

  /** What is between quotes, the first of which has been taken. */
  quoted(): string {
    const opened = this.#at;
    let text = "";
    while (!this.atEnd) {
      const character = this.next;
      this.#at += 1;
      if (character === '"') return text;
      if (character === "\\") text += this.#escaped();
      else if (hasControl(character))
        throw invalid(this.#at, "a control character is written with an escape: \\n, \\r, \\t, or \\u001b");
      else text += character;
    }
    throw invalid(opened, 'this quote is never closed; a quote within it is written \\"');
  }

  #escaped(): string {
    const [, hex] = /^u([0-9a-f]{4})/i.exec(this.#text.slice(this.#at, this.#at + 5)) ?? [];
    const escape = hex === undefined ? escapes[this.next] : String.fromCharCode(Number.parseInt(hex, 16));
    if (escape === undefined || !escape.isWellFormed())
      throw invalid(this.column, 'behind \\ there may be ", \\, n, r, t, or u and four hex digits of a character');
    this.#at += hex === undefined ? 1 : 5;
    return escape;
  }
}

const escapes: Readonly<Record<string, string>> = { '"': '"', "\\": "\\", n: "\n", r: "\r", t: "\t" };

function termOf(reader: Reader): SearchTerm {
  const negated = reader.takes("-");
  const { column } = reader;
  if (reader.next === '"') return { kind: "text", negated, value: valueOf(reader, "") };
  const name = reader.until(':~."');
  if (reader.next === '"') throw invalid(reader.column, "a quote begins a text: put all of it into quotes");
  if (reader.atEnd || isBlank(reader.next)) return { kind: "text", negated, value: bareText(name, column) };
  if (isField(name)) return fieldTerm(reader, name, negated, column);
  const rest = reader.next === "." ? reader.until(':~"') : "";
  // "web-1.example" is a text; with a colon it may be meant for a field.
  if (rest !== "" && (reader.atEnd || isBlank(reader.next)))
    return { kind: "text", negated, value: bareText(name + rest, column) };
  throw invalid(
    column,
    `there is no field ${shown(name)}; there are ${fieldNames.join(", ")}. A text is put into quotes`,
  );
}

function bareText(text: string, column: number): SearchValue {
  if (text === "") throw invalid(column, "behind - there must be a term, without a blank");
  if (text === "-" || text.startsWith("-")) throw invalid(column, "a text that begins with - is put into quotes");
  return checkedValue({ text, quoted: false }, column);
}

function fieldTerm(reader: Reader, field: FieldName, negated: boolean, column: number): SearchTerm {
  const { kind } = searchFields[field];
  const path = pathOf(reader, field, kind);
  const op = operatorOf(reader, field, kind, path);
  const valueColumn = reader.column;
  const values = [valueOf(reader, ",")];
  while (reader.takes(",")) {
    if (values.length === maxValues) throw invalid(reader.column, `a term has at most ${maxValues} values`);
    values.push(valueOf(reader, ","));
  }
  if (!reader.atEnd && !isBlank(reader.next))
    throw invalid(reader.column, "behind a closing quote comes a blank, or a comma and another value");
  if (values.length > 1 && op !== ":" && op !== "~") throw invalid(valueColumn, `${op} compares with one value`);
  for (const value of values) checkValue(field, kind, op, value, valueColumn);
  if (kind === "path" && path.length === 0 && op !== "~")
    throw invalid(column, "payload: needs a path or a part of the text: payload.customer.id:42, payload~text");
  return { kind: "field", negated, field, path, op, values };
}

function pathOf(reader: Reader, field: FieldName, kind: Field["kind"]): SearchValue[] {
  const path: SearchValue[] = [];
  while (reader.takes(".")) {
    const { column } = reader;
    if (kind !== "path" && kind !== "header")
      throw invalid(column - 1, `${field} has no path; payload and header have`);
    const step = reader.takes('"')
      ? { text: reader.quoted(), quoted: true }
      : { text: reader.until(kind === "header" ? ':~"' : ':~."'), quoted: false };
    if (step.text === "" && !step.quoted) throw invalid(column, "a name is missing here");
    if (kind === "header" && path.length > 0)
      throw invalid(column, "a header has one name; with dots it is put into quotes, or left as it is");
    path.push(checkedValue(step, column));
  }
  if (kind === "header" && path.length === 0) throw invalid(reader.column, "which header? header.NAME:value");
  return path;
}

/** `:` and a comparison that may follow, or `~`. */
function operatorOf(
  reader: Reader,
  field: FieldName,
  kind: Field["kind"],
  path: readonly SearchValue[],
): SearchOperator {
  const { column } = reader;
  const name = [field, ...path.map(({ text }) => text)].join(".");
  if (reader.takes("~")) {
    if (kind === "name" || kind === "text" || kind === "path" || kind === "header") return "~";
    throw invalid(column, `${name} cannot be searched for a part; write ${searchFields[field].example}`);
  }
  if (!reader.takes(":")) throw invalid(column, `behind ${name} comes : or ~`);
  if (kind === "text") throw invalid(column, `${name} is searched for a part; write ${searchFields[field].example}`);
  const comparison = ([">=", "<=", ">", "<"] as const).find((op) => reader.takes(op));
  if (comparison === undefined) {
    if (kind === "when")
      throw invalid(
        reader.column,
        `${name} is compared: ${searchFields[field].example}, or with a date: ${field}:>=2026-11-22T10:00Z`,
      );
    if (kind === "duration") throw invalid(reader.column, `${name} is compared: ${searchFields[field].example}`);
    return ":";
  }
  if (kind === "when" || kind === "number" || kind === "duration" || kind === "path") return comparison;
  throw invalid(column + 1, `${name} cannot be compared; write ${searchFields[field].example}`);
}

function valueOf(reader: Reader, stops: string): SearchValue {
  const { column } = reader;
  if (reader.takes('"')) return checkedValue({ text: reader.quoted(), quoted: true }, column);
  const text = reader.until(`${stops}"`);
  if (reader.next === '"') throw invalid(reader.column, "a quote begins a value: put all of it into quotes");
  if (text === "") throw invalid(column, 'a value is missing here; an empty text is ""');
  return checkedValue({ text, quoted: false }, column);
}

function checkedValue(value: SearchValue, column: number): SearchValue {
  if (value.text.length > maxValueChars)
    throw invalid(column, `a value has at most ${maxValueChars} characters, this one has ${value.text.length}`);
  if (!value.quoted && hasControl(value.text)) throw invalid(column, "it holds a control character");
  return value;
}

function checkValue(
  field: FieldName,
  kind: Field["kind"],
  op: SearchOperator,
  { text, quoted }: SearchValue,
  column: number,
): void {
  if (kind === "word" && (quoted || wordOf(field, text) === undefined))
    throw invalid(column, `${field} is one of ${wordsOf(field).join(", ")}; got ${shown(text)}`);
  if (kind === "prefix" && !/^v\d{1,3}:[0-9a-f]{0,64}$/.test(text))
    throw invalid(column, `a fingerprint begins with its version: ${searchFields[field].example}; got ${shown(text)}`);
  if (kind === "number" && (quoted || !isWholeNumber(text)))
    throw invalid(column, `${field} is a whole number; got ${shown(text)}`);
  if (kind === "duration" && (quoted || durationMs(text) === undefined))
    throw invalid(column, `${field} is a duration such as 30s (units: ms, s, m, h, d); got ${shown(text)}`);
  if (kind === "when" && (quoted || (durationMs(text) ?? dateMs(text)) === undefined))
    throw invalid(
      column,
      `${field} is a duration such as 2h (units: ms, s, m, h, d) or a date such as 2026-11-22T10:00Z; got ${shown(text)}`,
    );
  if (kind === "path" && op !== ":" && op !== "~" && (quoted || !isDecimal(text)))
    throw invalid(column, `${op} compares numbers; got ${shown(text)}`);
}
