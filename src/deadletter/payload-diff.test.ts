import { describe, expect, it } from "vitest";
import { payloadDiff } from "./payload-diff.js";

const marks = { both: " ", old: "-", new: "+" };
const diff = (before: string | Uint8Array, after: string | Uint8Array) =>
  payloadDiff(Buffer.from(before as string), Buffer.from(after as string)).map(
    ({ side, text }) => `${marks[side]}${text}`,
  );

describe("what is different in a payload", () => {
  it("is told member by member, with every digit", () => {
    expect(diff('{"n":9007199254740993,"b":1,"a":[1,2]}', '{"n":9007199254740995,"b":1,"a":[1,2,3]}')).toEqual([
      " {",
      '-  "n": 9007199254740993,',
      '+  "n": 9007199254740995,',
      '   "b": 1,',
      '   "a": [',
      "     1,",
      "-    2",
      "+    2,",
      "+    3",
      "   ]",
      " }",
    ]);
  });

  it("is nothing where only blanks in JSON are", () => {
    expect(diff('{"a":1}', '{ "a" : 1 }').every((line) => line.startsWith(" "))).toBe(true);
  });

  it("finds what moved in the midst of much that stayed, and tells bytes in hex", () => {
    const text = Array.from({ length: 3_000 }, (_, n) => `line ${n}`);
    const changed = text.toSpliced(1_500, 1, "other", "more");

    expect(diff(text.join("\n"), changed.join("\n")).filter((line) => !line.startsWith(" "))).toEqual([
      "-line 1500",
      "+other",
      "+more",
    ]);
    expect(diff(Uint8Array.of(0xff, 1), Uint8Array.of(0xff, 2))).toEqual(["-ff01", "+ff02"]);
    expect(diff("", "x")).toEqual(["+x"]);
  });

  it("tells both one after the other where they have too little in common", () => {
    const lines = (of: string) => Array.from({ length: 2_100 }, (_, n) => `${of} ${n}`).join("\n");

    const told = diff(lines("a"), lines("b"));

    expect([told.length, told[0], told.at(-1)]).toEqual([4_200, "-a 0", "+b 2099"]);
  });
});
