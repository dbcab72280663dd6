import { afterEach, describe, expect, it } from "vitest";
import { count, endOf, printable, seconds, size, wrapped } from "./terminal.js";

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
  });

  it("writes numbers for people", () => {
    expect([count(1_234_567.8), seconds(1_234), size(512), size(1_536), size(5_500_000), size(6e9)]).toEqual([
      "1,234,568",
      "1.23 s",
      "512 B",
      "1.5 KiB",
      "5.2 MiB",
      "5.6 GiB",
    ]);
  });
});
