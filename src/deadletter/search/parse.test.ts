import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { seed } from "../../../test/support/seed.js";
import { HoldfastError } from "../../core/errors.js";
import { fieldNames, searchFields } from "./fields.js";
import { parseSearch } from "./parse.js";
import { passes } from "./plan.js";
import { maxSearchChars, printSearch, searchOf } from "./query.js";

function refused(text: unknown): { column: number; problem: string } {
  try {
    parseSearch(text as string);
  } catch (error) {
    if (HoldfastError.is(error, "SEARCH_INVALID")) return error.data;
    throw error;
  }
  throw new Error(`${String(text)} was not refused`);
}

describe("parseSearch", () => {
  it("reads terms of each kind", () => {
    const { terms } = parseSearch(
      '-queue:billing,"a b" err~"time\\"out" failed:>=2h payload."a.b".c:42 -noise "exact text"',
    );

    expect(terms).toEqual([
      {
        kind: "field",
        negated: true,
        field: "queue",
        path: [],
        op: ":",
        values: [
          { text: "billing", quoted: false },
          { text: "a b", quoted: true },
        ],
      },
      { kind: "field", negated: false, field: "err", path: [], op: "~", values: [{ text: 'time"out', quoted: true }] },
      { kind: "field", negated: false, field: "failed", path: [], op: ">=", values: [{ text: "2h", quoted: false }] },
      {
        kind: "field",
        negated: false,
        field: "payload",
        path: [
          { text: "a.b", quoted: true },
          { text: "c", quoted: false },
        ],
        op: ":",
        values: [{ text: "42", quoted: false }],
      },
      { kind: "text", negated: true, value: { text: "noise", quoted: false } },
      { kind: "text", negated: false, value: { text: "exact text", quoted: true } },
    ]);
  });

  it.each(fieldNames)("reads the example of %s", (name) => {
    const [term] = parseSearch(searchFields[name].example).terms;

    expect(term).toMatchObject({ kind: "field", field: name, negated: false });
  });

  it.each<[text: string, column: number, problem: RegExp]>([
    ["", 1, /asks for nothing; all dead letters are: state:dead/],
    ["queue:a typ:b", 9, /^there is no field "typ"; there are state, queue, type, /],
    ["https://x.example", 1, /A text is put into quotes$/],
    ["reason:timeot", 8, /^reason is one of failed, .*; got "timeot"$/],
    ["state:zombie", 7, /^state is one of pending, .*, any; got "zombie"$/],
    ['a err~"no end', 7, /never closed/],
    ['err~"a\\x"', 8, /behind \\ there may be/],
    ['err~"a\\ud800"', 8, /behind \\ there may be/],
    ['err~"a\\u12', 8, /behind \\ there may be/],
    ['err~a"b"', 6, /put all of it into quotes/],
    ['type:"a"b', 9, /behind a closing quote/],
    ["err:timeout", 4, /^err is searched for a part; write err~"timeout"$/],
    ["failed:2h", 8, /^failed is compared: failed:>2h, or with a date/],
    ["failed:>2x", 9, /^failed is a duration such as 2h .* got "2x"$/],
    ["failed:>2026-13-01", 9, /a date such as/],
    ["failed~2h", 7, /^failed cannot be searched for a part; write failed:>2h$/],
    ["retried:many", 9, /^retried is a whole number; got "many"$/],
    ["retried:>=1,2", 11, /^>= compares with one value$/],
    ["type:>a", 6, /^type cannot be compared/],
    ["took:30s", 6, /^took is compared: took:>30s$/],
    ["payload:42", 1, /needs a path/],
    ["payload.a.:1", 11, /^a name is missing here$/],
    ["payload.a", 10, /^behind payload.a comes : or ~$/],
    ["payload.a:>ten", 12, /^> compares numbers; got "ten"$/],
    ["header:x", 7, /^which header/],
    ["type.a:x", 5, /^type has no path/],
    ["fp:ab12", 4, /^a fingerprint begins with its version: fp:v1:ab12; got "ab12"$/],
    ["queue:", 7, /^a value is missing here; an empty text is ""$/],
    ["queue:a,", 9, /^a value is missing here/],
    ["- a", 2, /^behind - there must be a term/],
    ["--a", 2, /begins with -/],
    ["a\u0007b", 1, /control character/],
    ["\ud800", 1, /well-formed/],
  ])("says of %j what is allowed in column %i", (text, column, problem) => {
    const data = refused(text);

    expect(data.column).toBe(column);
    expect(data.problem).toMatch(problem);
  });

  it("says where a search is too long", () => {
    expect(refused(`a ${"b ".repeat(60)}`)).toEqual({ column: 101, problem: "a search has at most 50 terms" });
    expect(refused(`id:${"a,".repeat(150)}a`)).toEqual({ column: 204, problem: "a term has at most 100 values" });
    expect(refused(`err~${"a".repeat(201)}`)).toEqual({
      column: 5,
      problem: "a value has at most 200 characters, this one has 201",
    });
    expect(refused("a".repeat(maxSearchChars + 1))).toMatchObject({ column: maxSearchChars + 1 });
  });

  it("refuses what is no text", () => {
    for (const value of [undefined, null, 4, {}, ["a"]]) expect(refused(value).column).toBe(1);
  });

  const anyText = fc.oneof(
    fc.string({ maxLength: 60 }),
    fc.string({ unit: "binary", maxLength: 60 }),
    fc
      .array(
        fc.constantFrom(
          ...fieldNames,
          ...fieldNames.map((name) => searchFields[name].example),
          ":",
          "~",
          ".",
          ",",
          '"',
          "\\",
          "-",
          " ",
          ">",
          "<=",
          "*",
          "42",
          "2h",
          "v1:",
          "\u00e9",
          "\ud83d\ude00",
        ),
        { maxLength: 30 },
      )
      .map((parts) => parts.join("")),
  );

  it("throws nothing but its own error, with a column that is there", () => {
    fc.assert(
      fc.property(anyText, (text) => {
        try {
          parseSearch(text);
        } catch (error) {
          if (!HoldfastError.is(error, "SEARCH_INVALID")) throw error;
          expect(error.data.column).toBeGreaterThanOrEqual(1);
          expect(error.data.column).toBeLessThanOrEqual(text.length + 1);
          expect(error.data.problem).not.toBe("");
        }
      }),
      { numRuns: 1_500, seed },
    );
  });

  it("prints each search so that it reads as the same", () => {
    let read = 0;
    fc.assert(
      fc.property(anyText, (text) => {
        let query;
        try {
          query = parseSearch(text);
        } catch {
          return;
        }
        read += 1;
        const printed = printSearch(query);
        expect(parseSearch(printed)).toEqual(query);
        expect(printSearch(parseSearch(printed))).toBe(printed);
      }),
      { numRuns: 1_500, seed },
    );
    expect(read).toBeGreaterThan(150);
  });

  it.each(["billing", 'a"b', "a\\b", "a:b", "a b", "a*", "a,b", "größe", "\u001b[2J\u0000\u0085", ">a", "-a", ""])(
    "prints a search for exactly %j so that it means that",
    (name) => {
      const query = searchOf("queue", name);
      expect(parseSearch(printSearch(query))).toEqual(query);
      expect(passes(query, "queue", name)).toBe(true);
      expect(passes(query, "queue", `a${name}b`)).toBe(false);
    },
  );

  it("takes little time for the longest searches there are", () => {
    const long = ["(", '"', "\\", "-", "a.", "payload.", "err~*", "*", "id:a,", "\u00e9", " ", "a "];

    for (const part of long) {
      const text = part.repeat(Math.floor(maxSearchChars / part.length));
      const startedMs = performance.now();
      try {
        parseSearch(text);
      } catch (error) {
        if (!HoldfastError.is(error, "SEARCH_INVALID")) throw error;
      }
      expect(performance.now() - startedMs, part).toBeLessThan(100);
    }
  });
});
