import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { ruleModes } from "../../src/deadletter/rules/rule.js";

const root = join(import.meta.dirname, "../..");
const page = "docs/operate/audit.md";
const read = (path: string) => readFileSync(join(root, path), "utf8");
const sources = readdirSync(join(root, "src"), { recursive: true, encoding: "utf8" })
  .filter((path) => /\.(?:ts|lua)$/.test(path) && !/\.(?:test|gen)\.ts$/.test(path))
  .map((path) => join("src", path));

/** How a verb stands in the code where an act is recorded; `as` says what is recorded of the words that were found. */
interface Form {
  readonly found: RegExp;
  readonly as?: (word: string) => readonly string[];
}
const forms: readonly Form[] = [
  { found: /record\(holdfast, now_ms, [^\n]*?"([a-z][a-z ]*[a-z])", (?:"", 0|cjson)/g },
  { found: /record\(holdfast, now_ms, .*"cancel " \.\. how()/g, as: () => ["cancel retry", "cancel archive"] },
  { found: /record\(holdfast, .* and "(\w+)" or "(\w+)", cjson/g },
  { found: /local verb = .* and "(\w+)" or "(\w+)"/g },
  { found: /^ {4}verb = "(\w+)"/gm },
  { found: /recordAct\(.*verb: "([a-z A-Z]+)"/g },
  { found: /recordAct\(.*verb: \w+ \? "(\w+)" : "(\w+)"/g },
  { found: /const verb = cause.* \? "(\w+)" : "(\w+)"/g },
  { found: /verb: "(\w+)"(?: \| "(\w+)")*;$/gm },
  { found: /const verbs: Record<MoveTarget.* pending: "(\w+)", archived: "(\w+)", deleted: "(\w+)"/g },
  { found: /labelling<\w+>\("\w+", "(\w+)"/g, as: (word) => [word, `un${word}`] },
  { found: /tell\(sql, queue, "(\w+)"/g },
  { found: /\.\.\.(?:act|by), verb: "([a-z ]+)"/g },
  { found: /requestId: newId\(nowMs\), verb: "([a-z ]+)"/g },
  { found: /change\(desk, given, "(\w+)"/g, as: (word) => [`group ${word}`] },
  { found: /#(?:recorded|steer)\("(\w+)"/g, as: (word) => [`redrive ${word}`] },
  { found: /actOn\(by, "(rule \w+)"/g },
  { found: /actOn\(by, `rule \$\{mode\}`()/g, as: () => ruleModes.map((mode) => `rule ${mode}`) },
];
/** What every act goes through, or the one before it. */
const records = /record\(holdfast, |recordAct\(sql|recorded\(desk|#recorded\(|audit\.append\(|append\(link, \[/;
/** They are told the verb by others. */
const passOn = [
  "src/deadletter/recorded.ts",
  "src/embedded/acts.ts",
  "src/embedded/dead-letters/redrive.ts",
  "src/redis/drop-queue.ts",
  "src/redis/lua/dead-move.lua",
  "src/redis/lua/include/audit.lua",
  "src/redis/lua/label.lua",
];

function verbsIn(text: string): string[] {
  return forms.flatMap(({ found, as = (word) => [word] }) =>
    [...text.matchAll(found)].flatMap(([, ...words]) => words.filter((word) => word !== undefined).flatMap(as)),
  );
}

/** Of the table's column `verb`; what only one engine says is there, too. */
function verbsTold(text: string): string[] {
  const table = text.slice(text.indexOf("## What is recorded"), text.indexOf("Programs append their own"));
  const cells = table.split("\n").flatMap((line) => (line.startsWith("| ") ? [line.split(" | ")[1] ?? ""] : []));
  return cells.slice(1).flatMap((cell) => [...cell.matchAll(/`([^`]+)`/g)].map(([, verb]) => verb!));
}

const sorted = (words: Iterable<string>) => [...new Set(words)].toSorted();

describe(`the acts that ${page} says are recorded`, () => {
  it("are those that there are", () => {
    const there = sorted(sources.flatMap((path) => verbsIn(read(path))));

    expect(sorted(verbsTold(read(page)))).toEqual(there);
    expect(there.length).toBeGreaterThan(40);
  });

  it("come from all places that record any", () => {
    const silent = sources.filter((path) => records.test(read(path)) && verbsIn(read(path)).length === 0);

    expect(silent.toSorted()).toEqual(passOn);
  });
});
