import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, it } from "vitest";

const root = join(import.meta.dirname, "../..");
const read = (path: string) => readFileSync(join(root, path), "utf8");

/** The cells of each row of a page's tables, their heads and rules left out. */
function rowsOf(text: string): string[][] {
  const lines = text.split("\n");
  return lines
    .filter((line, n) => line.startsWith("| ") && !line.startsWith("| ---") && !lines[n + 1]?.startsWith("| ---"))
    .map((line) => line.slice(2, -2).split(" | "));
}

/** Links to tests, by the name of a test or its beginning: those whose file has no such name. */
function unfounded(cell: string, page: string): string[] {
  const links = [...cell.matchAll(/\[([^\]]+)\]\(([^)]+\.test\.ts)\)/g)];
  return links.flatMap(([, name, path]) => {
    const target = join(dirname(page), path!);
    return existsSync(join(root, target)) && read(target).includes(name!.replace(/ …$/, ""))
      ? []
      : [`${path}: ${name}`];
  });
}

const answered = (row: readonly string[]) => row.some((cell) => /\]\([^)]+\.test\.ts\)|\bnot yet\b|^no\b/.test(cell));

describe("docs/reference/asynq-features.md", () => {
  const page = "docs/reference/asynq-features.md";
  const rows = rowsOf(read(page));

  it("shows each feature by a test, or says that it is not there", () => {
    expect(rows.length).toBeGreaterThan(60);
    expect(rows.filter((row) => !answered(row)).map(([feature]) => feature)).toEqual([]);
  });

  it("quotes tests that there are", () => {
    expect(rows.flatMap((row) => row.flatMap((cell) => unfounded(cell, page)))).toEqual([]);
  });

  it("notices what is missing", () => {
    expect(unfounded("[a test of mine](../../test/docs/claims.test.ts)", page)).toEqual([]);
    const yours = ["[a test of", "yours](../../test/docs/claims.test.ts) [x](./none.test.ts)"].join(" ");
    expect(unfounded(yours, page)).toHaveLength(2);
    expect(rowsOf("| A | B |\n| --- | --- |\n| `x` | does |\n").filter((row) => !answered(row))).toEqual([
      ["`x`", "does"],
    ]);
  });
});

describe("docs/guide/from-asynq.md", () => {
  it("names tests of defects that there are", () => {
    const tests = read("test/interop/defects.test.ts");
    const defects = rowsOf(read("docs/guide/from-asynq.md")).filter(([number]) => /^D\d+$/.test(number!));
    const named = defects.map((row) => [...row.at(-1)!.matchAll(/"([^"]+?)(?: …)?"/g)].map(([, name]) => name!));

    expect(defects.map(([number]) => number)).toEqual(Array.from({ length: 14 }, (_, n) => `D${n + 1}`));
    expect(named.flat().filter((name) => !tests.includes(name))).toEqual([]);
    const unnamed = defects.filter((row, n) => named[n]!.length === 0 && !row.at(-1)!.includes("not there yet"));
    expect(unnamed).toEqual([]);
  });
});
