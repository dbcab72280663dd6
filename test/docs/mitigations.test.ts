import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, it } from "vitest";

const root = join(import.meta.dirname, "../..");
const page = "docs/operate/mitigations.md";
const read = (path: string) => readFileSync(join(root, path), "utf8");

interface Row {
  readonly recommended: string;
  readonly setting: string;
  readonly tests: string;
}

function rowsOf(text: string): Row[] {
  const lines = text.split("\n").filter((line) => /^\| (?!---|Recommended)/.test(line));
  return lines.map((line) => {
    const [recommended = "", setting = "", , tests = ""] = line.slice(2, -2).split(" | ");
    return { recommended, setting, tests };
  });
}

const options = new Set(read("docs/reference/options.md").match(/(?<=^\| `)\w+(?=` \|)/gm));
const linked = ({ tests }: Row) => [...tests.matchAll(/\]\(([^)#]+)\)/g)].map(([, path]) => join(dirname(page), path!));

/** What begins each text in backticks is an option, or is used by a test of the row. */
function unknownSettings(row: Row): string[] {
  const sources = linked(row).map((path) => (existsSync(join(root, path)) ? read(path) : ""));
  const names = [...row.setting.matchAll(/`([\w.-]+)/g)].map(([, name]) => name!);
  return names.filter((name) => !options.has(name) && !sources.some((source) => source.includes(name)));
}

/** Rows that say that it is not Holdfast's to do, or not there yet. */
const elsewhere = ({ setting }: Row) => /outside of Holdfast|not there yet/.test(setting);

describe(`the table of ${page}`, () => {
  const rows = rowsOf(read(page).split("## How likely")[0]!);

  it("shows each recommendation by a test, or says that it is not Holdfast's to do", () => {
    expect(rows.length).toBeGreaterThan(30);
    expect(rows.filter((row) => linked(row).length === 0 && !elsewhere(row))).toEqual([]);
    expect(rows.flatMap(linked).filter((path) => !existsSync(join(root, path)))).toEqual([]);
  });

  it("names settings that there are", () => {
    const tested = rows.filter((row) => !elsewhere(row));
    expect(tested.flatMap((row) => unknownSettings(row).map((name) => `${row.recommended}: ${name}`))).toEqual([]);
  });

  it("notices what is missing", () => {
    const row = {
      recommended: "all",
      setting: "`maxRetries`, `timeout`, `requirepas x`",
      tests: "[a](./none.test.ts)",
    };
    expect(unknownSettings(row)).toEqual(["maxRetries", "requirepas"]);
    expect(rowsOf("| Recommended | Setting |\n| --- | --- |\n| a | `b` | c | d |")).toEqual([
      { recommended: "a", setting: "`b`", tests: "d" },
    ]);
  });
});

describe("the tables of docs/operate/dlq-mitigations.md", () => {
  const tables = "docs/operate/dlq-mitigations.md";
  const rows = rowsOf(read(tables).split("## The gaps")[0]!);
  const tests = ({ tests: cell }: Row) =>
    [...cell.matchAll(/\]\(([^)#]+)\)/g)].map(([, path]) => join(dirname(tables), path!));

  it("show each recommendation by a test that there is, or say that it is not there yet", () => {
    expect(rows.length).toBeGreaterThan(25);
    expect(rows.filter((row) => tests(row).length === 0 && !elsewhere(row))).toEqual([]);
    expect(rows.flatMap(tests).filter((path) => !existsSync(join(root, path)))).toEqual([]);
  });

  it("name commands that there are", () => {
    const commands = [...read(tables).matchAll(/`(holdfast (?:dlq|audit|alerts|monitor)(?: [a-z]+)*)/g)].map(
      ([, name]) => name!,
    );
    const known = read("docs/reference/cli.md");
    expect(commands.length).toBeGreaterThan(30);
    expect([...new Set(commands)].filter((name) => !new RegExp(`^#+ .*${name}\\b`, "m").test(known))).toEqual([]);
  });
});
