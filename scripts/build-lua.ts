/**
 * src/redis/lua/*.lua → src/redis/scripts.gen.ts: each script's text, its SHA-1, and a function that builds a call of
 * it, typed by the names that the script itself declares:
 *
 *     local asynq, holdfast = unpack(KEYS)                                 keys by name, or
 *     for k = 1, #KEYS, 2 do  local asynq, holdfast = unpack(KEYS, k, k + 1)      lists of them
 *     local deadline_ms, now_s = unpack(ARGV)                              arguments by name
 *     local ROWS = cmsgpack.unpack(ARGV[#ARGV])                            rows of arguments, packed into the last one,
 *     for i = 1, #ROWS, 2 do  local id, score = unpack(ROWS, i, i + 1)     by name
 *
 * `--! include name` stands for lua/include/name.lua. A loop whose start, step or reach does not fit its names stops
 * the build: it would read the wrong arguments.
 */
import { createHash } from "node:crypto";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const folder = join(import.meta.dirname, "../src/redis/lua");
export const generatedFile = join(import.meta.dirname, "../src/redis/scripts.gen.ts");

interface Declared {
  readonly keys: readonly string[];
  readonly keysAreLists: boolean;
  readonly args: readonly string[];
  readonly row: readonly string[];
}

/** Reads the names that a script declares. Throws where they contradict each other; exported for its test. */
export function declared(script: string, text: string): Declared {
  const wrong = (problem: string) => new Error(`lua/${script}.lua: ${problem}`);
  const names = (list: string) => list.split(",").map((name) => name.trim());
  const single = (list: "KEYS" | "ARGV") =>
    text.match(new RegExp(`^local ([\\w, ]+) = unpack\\(${list}\\)$`, "m"))?.[1];
  const loop = (list: "KEYS" | "ROWS") => {
    const all = [
      ...text.matchAll(
        new RegExp(
          `^ *for (\\w) = (\\d+), #${list}, (\\d+) do\\s+local ([\\w, ]+) = unpack\\(${list}, \\1, \\1 \\+ (\\d+)\\)$`,
          "gm",
        ),
      ),
    ];
    if (all.length > 1) throw wrong(`more than one loop over ${list}`);
    if (all.length === 0) {
      if (text.includes(`#${list},`)) throw wrong(`the loop over ${list} does not unpack its row in its first line`);
      return undefined;
    }
    const [, , first, step, list_, reach] = all[0]!;
    const row = names(list_!);
    if (Number(first) !== 1) throw wrong(`the loop over ${list} starts at ${first}, not at 1`);
    if (Number(step) !== row.length || Number(reach) !== row.length - 1) {
      throw wrong(`the loop over ${list} has ${row.length} names, steps by ${step} and reaches to + ${reach}`);
    }
    return row;
  };

  const args = names(single("ARGV") ?? "");
  if (args[0] !== "deadline_ms") throw wrong("the first argument must be deadline_ms");
  if (!text.includes("\n--! include fence\n")) throw wrong("`--! include fence` is missing");
  const row = loop("ROWS") ?? [];
  // Wherever else a row is read again, it must be read with the same reach.
  for (const [, reach] of text.matchAll(/unpack\(ROWS, \w, \w \+ (\d+)\)/g)) {
    if (Number(reach) !== row.length - 1) throw wrong(`a row of ${row.length} is read to + ${reach}`);
  }
  const keyLists = loop("KEYS");
  return {
    keys: keyLists ?? names(single("KEYS") ?? ""),
    keysAreLists: keyLists !== undefined,
    args: args.slice(1),
    row,
  };
}

const camel = (name: string) => name.replace(/[-_](\w)/g, (_, letter: string) => letter.toUpperCase());
const pascal = (name: string) => camel(`_${name}`);

function included(text: string): string {
  return text.replace(/^--! include (\w+)$/gm, (_, name: string) =>
    readFileSync(join(folder, "include", `${name}.lua`), "utf8").trimEnd(),
  );
}

function generatedScript(file: string): string {
  const script = file.slice(0, -".lua".length);
  const source = readFileSync(join(folder, file), "utf8");
  const { keys, keysAreLists, args, row } = declared(script, source);
  const text = included(source);
  const name = camel(script);
  const record = (suffix: string, fields: readonly string[], type: string) => [
    `export interface ${pascal(script)}${suffix} {`,
    ...fields.map((field) => `  readonly ${camel(field)}: ${type};`),
    "}",
    "",
  ];
  const list = (of: string, fields: readonly string[]) => fields.map((field) => `${of}.${camel(field)}`).join(", ");
  const parameters = [
    `keys: ${keysAreLists ? `readonly ${pascal(script)}Keys[]` : `${pascal(script)}Keys`}`,
    args.length === 0 ? "_head: Record<never, never>" : `head: ${pascal(script)}Head`,
    ...(row.length === 0 ? [] : [`rows: readonly ${pascal(script)}Row[]`]),
  ];
  return [
    ...record("Keys", keys, "string"),
    ...(args.length === 0 ? [] : record("Head", args, "Argument")),
    ...(row.length === 0 ? [] : record("Row", row, "Argument")),
    `export const ${name}Script: Script = {`,
    `  name: "${script}",`,
    `  sha1: "${createHash("sha1").update(text).digest("hex")}",`,
    `  text: \`${text.replaceAll("\\", "\\\\").replaceAll("`", "\\`").replaceAll("${", "\\${")}\`,`,
    "};",
    "",
    `export function ${name}(${parameters.join(", ")}): ScriptCall {`,
    `  const args: ScriptCall["args"][number][] = [${["deadline", ...args.map((arg) => `head.${camel(arg)}`)].join(", ")}];`,
    ...(row.length === 0
      ? []
      : [`  args.push(packedRows(rows, [${row.map((field) => `"${camel(field)}"`).join(", ")}]));`]),
    `  return { script: ${name}Script, keys: ${keysAreLists ? `keys.flatMap((key) => [${list("key", keys)}])` : `[${list("keys", keys)}]`}, args };`,
    "}",
    "",
  ].join("\n");
}

/** What scripts.gen.ts is to hold. */
export function generated(): string {
  const files = readdirSync(folder).filter((file) => file.endsWith(".lua"));
  return [
    "// Made by scripts/build-lua.ts from lua/*.lua: change those.",
    'import { type Argument, type ScriptCall, deadline } from "./link.js";',
    'import { packedRows } from "./packed-rows.js";',
    'import type { Script } from "./script.js";',
    "",
    ...files.toSorted().map(generatedScript),
  ].join("\n");
}

function current(): string {
  try {
    return readFileSync(generatedFile, "utf8");
  } catch {
    return ""; // There is none yet.
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const text = generated();
  if (text !== current()) writeFileSync(generatedFile, text);
}
