import { describe, expect, it } from "vitest";
import { setOut } from "../core/json-text.js";
import { encoded, hexLines, payloadLines, preview } from "./payload-view.js";

const bytes = (text: string) => Buffer.from(text);

describe("a payload for people", () => {
  it("is JSON with a member a line, and every digit kept", () => {
    expect(
      payloadLines(bytes('{"id":12345678901234567890,"of":[1.50,{}, [ ] ,"a, {b}: \\"c\\""],"e":{"x":null}}')),
    ).toEqual([
      "{",
      '  "id": 12345678901234567890,',
      '  "of": [',
      "    1.50,",
      "    {},",
      "    [],",
      '    "a, {b}: \\"c\\""',
      "  ],",
      '  "e": {',
      '    "x": null',
      "  }",
      "}",
    ]);
  });

  it.each(['"a\\\\"', "[[[]]]", "-1.5e+300", '{"a":{"b":[true,false,null]}}', '"\\u0022{"', " [ 1 , 2 ] "])(
    "means the same when it is set out: %s",
    (json) => {
      expect(JSON.parse(setOut(json))).toEqual(JSON.parse(json));
    },
  );

  it("is other text as it is, and what is no text in hex", () => {
    expect(payloadLines(bytes("hello\nyou\r\n\u001b[31m"))).toEqual(["hello", "you", "\\u{1b}[31m"]);
    expect(payloadLines(Uint8Array.of(0xff, 0x41, 0x0a))).toEqual([`000000  ff 41 0a${" ".repeat(39)}  .A.`]);
    expect(payloadLines(bytes("a\0"))).toHaveLength(1);
    expect(hexLines(new Uint8Array(33)).map((line) => line.slice(0, 6))).toEqual(["000000", "000010", "000020"]);
    expect(payloadLines(new Uint8Array(0))).toEqual([""]);
  });

  it("cannot steer the terminal from inside of JSON", () => {
    expect(payloadLines(bytes('{"a":"\u009b2J\u202e"}'))[1]).toBe('  "a": "\\u{9b}2J\\u{202e}"');
  });

  it("fits into JSON with nothing lost", () => {
    expect(encoded(bytes("\ufeffé"))).toEqual({ text: "\ufeffé", encoding: "utf8" });
    expect(encoded(Uint8Array.of(0xff))).toEqual({ text: "/w==", encoding: "base64" });
    expect(preview(new Uint8Array(20).fill(0xff))).toBe(`20 bytes: ${"ff".repeat(16)}…`);
  });
});
