import { createHash } from "node:crypto";
import type { Failure } from "./outcome.js";

/** "v1:" and 16 hex digits: failures of one cause have the same, in every queue and after every deploy. */
export type Fingerprint = string;
export const isFingerprint = (text: unknown): text is Fingerprint =>
  typeof text === "string" && /^v1:[0-9a-f]{16}$/.test(text);

/** What one may want to know of a failure to tell its cause. */
export type Caused = Pick<Failure, "reason" | "class" | "message" | "stack" | "fingerprint">;

/** How many calls of the stack count, and how much of a message: what varies within it is a token by then. */
const framesThatCount = 3;
const charsThatCount = 512;

/**
 * Version 1: over the type, the reason, the error's class, the topmost calls in the user's own code, and the message without
 * what varies. Frozen: an algorithm that is better gets another prefix. What a definition says of the cause (`fingerprint`)
 * stands for all of it.
 */
export function fingerprintOf(type: string, failure: Caused): Fingerprint {
  // Plain errors have the class of all errors here, and none in what Go stores: that is no cause of its own.
  const named = failure.class === "Error" ? "" : failure.class;
  const parts =
    failure.fingerprint === undefined
      ? [type, failure.reason, named, ...framesOf(failure.stack ?? ""), "", normalised(failure.message)]
      : ["", failure.fingerprint];
  return `v1:${createHash("sha256").update(parts.join("\0")).digest("hex").slice(0, 16)}`;
}

/**
 * The topmost calls in the user's own code, as "function file": without lines, directories and what builds put into names,
 * for those change with each deploy.
 */
export function framesOf(stack: string): string[] {
  const frames: string[] = [];
  for (let from = 0; from < stack.length && frames.length < framesThatCount;) {
    const end = stack.indexOf("\n", from);
    const line = stack.slice(from, end === -1 ? stack.length : end).trim();
    from = end === -1 ? stack.length : end + 1;
    if (!line.startsWith("at ") || foreign.test(line)) continue;
    frames.push(frame(line.slice(3)));
  }
  return frames;
}

/** Of the runtime or a library, whose inside changes with its versions. */
const foreign = /node_modules|node:|\((?:<anonymous>|native)\)|^at (?:java\.|System\.|<anonymous>$)/;

/** "async Orders.charge (file:///app/dist/orders-3f9a2c1b.js:10:5)" → "Orders.charge orders-<hex>" */
function frame(call: string): string {
  const open = call.lastIndexOf("(");
  const inside = call.indexOf(" in ");
  const [name, place] =
    open > 0 && call.endsWith(")")
      ? [call.slice(0, open), call.slice(open + 1, -1)]
      : inside > 0
        ? [call.slice(0, inside), call.slice(inside + 4)]
        : ["", call];
  const file = place.slice(Math.max(place.lastIndexOf("/"), place.lastIndexOf("\\")) + 1);
  const bare = file.replace(/[:?].*$/, "").replace(/\.\w+$/, "");
  return `${withoutIds(name.replace(/^async |^new /, "").trim())} ${withoutIds(bare)}`;
}

/**
 * A quoted string (bounded, so that text full of quotes costs no more than its length), or what stands between spaces and
 * brackets.
 */
const pieces =
  /(?<![\p{L}\p{Nd}])(?:"[^"\n]{0,256}"|'[^'\n]{0,256}'(?![\p{L}\p{Nd}])|`[^`\n]{0,256}`|«[^»]{0,256}»|“[^”]{0,256}”|„[^“”]{0,256}[“”]|‘[^’]{0,256}’)|「[^」]{0,256}」|『[^』]{0,256}』|[a-z][a-z0-9+.-]{1,15}:\/\/[^\s"'<>()]+|[^\s"'`()[\]{}<>,;=|«»“”„‘’「」『』。、，；（）]+/gu;

/** Only a piece with one of these in it comes out as another than it is. */
const telling = /[\p{Nd}@/\\"'`«“„‘「『]/gu;
/** What stands between pieces, or begins and ends them. */
const delimiter = /[\s"'`()[\]{}<>,;=|«»“”„‘’「」『』。、，；（）]/;
const isAsciiDelimiter = Array.from({ length: 128 }, (_, code) => delimiter.test(String.fromCharCode(code)));

/** Where the word begins of which this is the end, and not before `least`. */
function wordStart(text: string, end: number, least: number): number {
  let at = end;
  while (at > least && !(isAsciiDelimiter[text.charCodeAt(at - 1)] ?? delimiter.test(text[at - 1]!))) at -= 1;
  return at;
}

/** The last word of a text in which nothing is telling; undefined: there is none. */
function lastWord(text: string): string | undefined {
  let end = text.length;
  while (end > 0 && wordStart(text, end, end - 1) === end) end -= 1;
  return end === 0 ? undefined : text.slice(wordStart(text, end, 0), end);
}

/** Without what differs from one failure of a cause to the next: ids, numbers, times, addresses, paths, quoted text. */
export function normalised(message: string): string {
  let text = "";
  let end = 0;
  let before = "";
  // Until there is enough, with some more for what is made shorter below.
  while (text.length <= 2 * charsThatCount) {
    telling.lastIndex = end;
    const told = telling.exec(message);
    // What stands before it stays as it is, word for word.
    pieces.lastIndex = told === null ? message.length : wordStart(message, told.index, end);
    const found = pieces.exec(message);
    if (found === null) {
      text += message.slice(end, end + 2 * charsThatCount);
      break;
    }
    const { 0: piece, index } = found;
    const [gap, last] = [message.slice(end, index), before];
    text += gap + tokenFor(piece, () => lastWord(gap) ?? last);
    end = index + piece.length;
    before = piece;
  }
  const oneLine = text
    .slice(0, 2 * charsThatCount)
    .replaceAll(/\s{2,}|[^\S ]/g, " ")
    .trim();
  // A list of any length is one token, and so is a date of several words.
  const dated = oneLine.includes("<n>") ? oneLine.replaceAll(dates, "<time>") : oneLine;
  return dated.replaceAll(lists, "$1").slice(0, charsThatCount);
}

const dates =
  /(?:\b(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun),? )?(?:<n> )?\b(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec),? <n>(?:,? <(?:n|time)>){0,2}(?: (?:UTC|GMT|[A-Z]{3,4})\b)?(?: <n>)?/g;
const lists = /(<[a-z]+>)(?:(?:, ?|; ?| )\1)+/g;

const variable = /[\p{Nd}@/\\]/u;
const digit = /\p{Nd}/u;
const quotes = "\"'`«“„‘「『";

function tokenFor(piece: string, before: () => string): string {
  if (quotes.includes(piece[0]!) && piece.length > 1) return "<str>";
  if (!variable.test(piece)) return piece;
  let end = piece.length;
  while (end > 0 && ".:!?…".includes(piece[end - 1]!)) end -= 1;
  return tokenOf(piece.slice(0, end), before) + piece.slice(end);
}

/** Words before a number that is itself what happened: "status code 404" is not "status code 500". */
const codes = /(?:^|[^\p{L}])(?:status|code|sqlstate|errno|error|http|exit|signal|fehler|erreur)[:#]?$/iu;

/** Each way of writing something has a character of its own, so that most words are not tried for it. */
function tokenOf(word: string, before: () => string): string {
  const [isParted, hasColon] = [/[/\\]/.test(word), word.includes(":")];
  if (hasColon && word.includes("://")) return "<url>";
  if (word.includes("@") && /^[^@/]+@[^@/]+\.[^@/]+$/.test(word)) return "<email>";
  if (/^[\d[]/.test(word)) {
    if (/^\[?\d{1,3}(?:\.\d{1,3}){3}(?:[:/]\d+)?$/.test(word)) return "<ip>";
    if (/^\d{3,5}$/.test(word) && codes.test(before())) return word;
    if (/^\d{4}-\d\d-\d\d/.test(word) || /^\d{1,2}:\d\d(?::\d\d)?/.test(word)) return "<time>";
    if (/^(?:\d{4}\/\d\d?\/\d\d?|\d\d?[./]\d\d?[./]\d{4})$/.test(word)) return "<time>";
  }
  if (hasColon && /^(?:[0-9a-f]{0,4}:){2,7}[0-9a-f.]*(?:%\w+)?(?::\d+)?$/i.test(word)) return "<ip>";
  if (isParted && isPath(word)) return "<path>";
  if (/^[A-Z]{1,6}\d{2,6}$/.test(word) || /^(?:ORA|PLS|TNS|SQL|CVE|RFC|HTTP)-?\d+N?$/.test(word)) return word;
  return withoutIds(word);
}

/** Of a word with a slash: "and/or", "n/a" and "text/html" are words. */
const isPath = (word: string) =>
  /^(?:\.{0,2}|~|[A-Za-z]:)[/\\]/.test(word) ||
  /[/\\].*[/\\]/.test(word) ||
  /\.[A-Za-z]\w{0,5}(?::\d+){0,2}$/.test(word);

const ids = /[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}|(?<![A-Za-z0-9])[A-Za-z0-9]*[0-9][A-Za-z0-9]*|\p{Nd}+/giu;

/** The word with what is counted or drawn in it as tokens. */
function withoutIds(word: string): string {
  if (!/\d/.test(word) && !digit.test(word)) return word;
  return word.replace(ids, tokenOfId).replaceAll(/<n>(?:[.,]<n>)+/g, "<n>");
}

function tokenOfId(id: string): string {
  if (id.includes("-")) return "<uuid>";
  if (/^\d+$/.test(id) || /^\p{Nd}+$/u.test(id)) return "<n>";
  if (/^0x[0-9a-f]+$/i.test(id) || (id.length >= 7 && /^[0-9a-f]+$/i.test(id))) return "<hex>";
  if (id.length >= 8 && (id.match(/\d+/g)?.length ?? 0) >= 2) return "<id>";
  return id.replaceAll(/\d+/g, "<n>");
}
