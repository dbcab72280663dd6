import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { Script } from "../../src/redis/script.js";
import * as generated from "../../src/redis/scripts.gen.js";

const folder = join(import.meta.dirname, "../../src/redis");
const sources = (ext: string) =>
  readdirSync(folder, { recursive: true, encoding: "utf8" })
    .filter((path) => path.endsWith(ext) && !path.includes(".test.") && !path.endsWith(".gen.ts"))
    .map((path) => [path, readFileSync(join(folder, path), "utf8")] as const);

/** Lines that hold what there must not be, as "file: line". */
const found = (files: readonly (readonly [string, string])[], pattern: RegExp, except: readonly string[] = []) =>
  files
    .filter(([path]) => !except.includes(path))
    .flatMap(([path, text]) =>
      text
        .split("\n")
        .filter((line) => pattern.test(line))
        .map((line) => `${path}: ${line.trim()}`),
    );

describe("no input becomes code or a pattern", () => {
  const scripts = Object.values(generated).filter((one): one is Script => typeof one === "object");

  it("a script's text is a constant: nothing is put into it, and nothing else is run", () => {
    expect(scripts.length).toBeGreaterThan(5);
    for (const { name, text, sha1 } of scripts) expect(createHash("sha1").update(text).digest("hex"), name).toBe(sha1);
    const file = readFileSync(join(folder, "scripts.gen.ts"), "utf8");
    // Of a template literal with values in it; an escaped one is Lua's own text.
    expect(file.match(/(?<!\\)\$\{/)).toBeNull();
    expect(found(sources(".ts"), /redis\.p?call|\bEVAL(SHA)?\b.*\$\{/)).toEqual([]);
    // The places that send a script, by its digest or with its constant text.
    expect(found(sources(".ts"), /["'`]EVAL/, ["standalone-link.ts", "assured-line.ts"])).toEqual([]);
    expect(found(sources(".lua"), /\b(loadstring|load|dofile|setfenv)\s*\(/)).toEqual([]);
  });

  it("no command takes a pattern, but for the walk of a queue's removal, which compares each key it finds", () => {
    const patterned = /["'](KEYS|SCAN|[HSZ]SCAN|PSUBSCRIBE|SORT)["']|\bMATCH\b/;

    // One walks over a hash, all of it, and gives no pattern.
    expect(found(sources(".ts"), patterned, ["dead-letters/redrive.ts"])).toEqual([]);
    expect(readFileSync(join(folder, "dead-letters/redrive.ts"), "utf8")).not.toMatch(/\bMATCH\b/);
    expect(found(sources(".lua"), patterned, ["lua/drop.lua"])).toEqual([]);
    expect(readFileSync(join(folder, "lua/drop.lua"), "utf8")).toMatch(/if is_of_queue\(key\) and/);
  });
});
