import { afterEach, describe, expect, it } from "vitest";
import { printable } from "../core/printable.js";
import { endOf, printableJson, seconds, shortCount, size, startOf, widthOf, wrapped } from "./terminal.js";

const columns = process.stdout.columns;
const setColumns = (value: number | undefined) =>
  Object.defineProperty(process.stdout, "columns", { value, configurable: true, writable: true });

describe("text from outside on a terminal", () => {
  afterEach(() => setColumns(columns));

  it("cannot steer it: control and direction characters are spelt out", () => {
    expect(printable("a\u001b[2Jb\r\nc\u202ed\u0085\u2028é読")).toBe(
      "a\\u{1b}[2Jb\\u{d}\\u{a}c\\u{202e}d\\u{85}\\u{2028}é読",
    );
    expect(printable("\ud800x")).toBe("\ufffdx");
  });

  it.each([
    ["C0", "\u0000\u0007\u0008\u001b\u007f"],
    ["C1, with the eight-bit CSI and OSC", "\u0080\u009b\u009d\u009f"],
    ["marks of direction", "\u200e\u200f\u202a\u202e\u2066\u2069\u061c"],
    ["what takes no room", "\u00ad\u034f\u115f\u200b\u200d\u2060\u3164\ufe0f\ufeff\uffa0\u{e0041}\u{e0100}"],
    ["line ends", "\n\r\u2028\u2029\u0085\u000b\u000c"],
  ])("is spelt out, and as JSON nothing of it is lost: %s", (_name, text) => {
    expect(printable(text)).toMatch(/^(\\u\{[0-9a-f]+\})+$/);
    expect(printableJson(text)).toMatch(/^"[\x20-\x7e]+"$/);
    expect(JSON.parse(printableJson({ [text]: [text] }, 2))).toEqual({ [text]: [text] });
  });

  it("keeps the beginning of what is too long, and no mark without its letter", () => {
    expect(startOf("email:welcome", 13)).toBe("email:welcome");
    expect(startOf("email:welcome", 6)).toBe("email…");
    expect(startOf("読読読", 5)).toBe("読読…");
    expect(startOf("読読読", 4)).toBe("読…");
    expect(startOf("e\u0301e\u0301e\u0301", 2)).toBe("e\u0301…");
    expect([widthOf("e\u0301"), widthOf("読"), widthOf("🙂a"), widthOf("")]).toEqual([1, 2, 3, 0]);
  });

  it("keeps the end of what is too long, counting wide characters as two", () => {
    expect(endOf("src/cli/demo/demo.ts", 20)).toBe("src/cli/demo/demo.ts");
    expect(endOf("src/cli/demo/demo.ts", 12)).toBe("…emo/demo.ts");
    expect(endOf("読読読読", 8)).toBe("読読読読");
    expect(endOf("読読読読", 6)).toBe("…読読");
    expect(endOf("a\u001bb", 4)).toBe("…b}b");
  });

  it("breaks sentences at spaces where there is a terminal, and leaves alone a word longer than a line", () => {
    const word = "x".repeat(90);
    setColumns(undefined);

    expect(wrapped(`one ${word} two`, "  ")).toEqual([`  one ${word} two`]);
    setColumns(80);
    expect(wrapped(`one ${word} two`, "  ", "    ")).toEqual(["  one", `    ${word}`, "    two"]);
    expect(wrapped("short")).toEqual(["short"]);
    expect(wrapped("a\u001b[2J b\nc")).toEqual(["a\\u{1b}[2J b\\u{a}c"]);
  });

  it("writes numbers for people", () => {
    expect([seconds(1_234), size(512), size(1_536), size(5_500_000), size(6e9)]).toEqual([
      "1.23 s",
      "512 B",
      "1.5 KiB",
      "5.2 MiB",
      "5.6 GiB",
    ]);
    expect([9_999, 12_345, 1_290_000, 12e6, 3.44e9].map(shortCount)).toEqual(["9999", "12k", "1.2M", "12M", "3.4G"]);
  });
});
