import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, posix } from "node:path";
import { describe, expect, it } from "vitest";

/**
 * The floors, lowest first; a place may import from its own and from those listed with it, whether it
 * is there yet or not. Type imports count: what only a type needs today, a value needs tomorrow.
 */
const mayImport: Record<string, readonly string[]> = {
  "core/": [],
  "broker/": ["core/"],
  // East wing: actors. None imports another, but dead letters and operations stand on the inspector.
  "client/": ["broker/", "core/"],
  "worker/": ["broker/", "core/"],
  "scheduler.ts": ["broker/", "core/"],
  "inspector/": ["broker/", "core/"],
  "spool/": ["broker/", "core/"],
  "outages/": ["broker/", "core/"],
  "deadletter/": ["inspector/", "broker/", "core/"],
  "ops/": ["deadletter/", "inspector/", "broker/", "core/"],
  // West wing: engines. Neither imports the other, nor any actor.
  "redis/": ["broker/", "core/"],
  "embedded/": ["broker/", "core/"],
};
const wings = Object.keys(mayImport);
// Where the wings meet, and what stands on that.
const meeting = ["index.ts", "connect.ts", "testing/"];
for (const place of meeting) mayImport[place] = [...wings, ...meeting];
mayImport["http/"] = [...wings, ...meeting];
mayImport["cli/"] = [...wings, ...meeting, "http/"];

/** What happens in one place only, so that it can be found there and replaced. `except`: cli/ is never CommonJS. */
const singlePlaces: readonly { what: string; pattern: RegExp; place: string; except?: string }[] = [
  { what: "the Redis library", pattern: /["']ioredis["']/, place: "redis/connection.ts" },
  { what: "the environment", pattern: /\bprocess\.env\b/, place: "cli/env.ts" },
  { what: "the time of day", pattern: /\bDate\.now\(|\bnew Date\(\)/, place: "core/clock.ts" },
  { what: "signals to the process", pattern: /\bprocess\.(on|once|addListener)\(/, place: "core/loop.ts" },
  {
    what: "a file's own location",
    pattern: /\bimport\.meta\b|\b__(file|dir)name\b/,
    place: "core/thread-file.ts",
    except: "cli/",
  },
];

const longestFile = 500;
const namelessFile = /^(utils?|helpers?|common|types?|constants?|misc)\.ts$/;
const barrels = [
  "index.ts",
  "redis/index.ts",
  "embedded/index.ts",
  "testing/index.ts",
  "http/index.ts",
  "deadletter/index.ts",
  "ops/index.ts",
];

type Sources = ReadonlyMap<string, string>;

/** Path under src → text, tests left out. */
function readSources(): Sources {
  const src = join(import.meta.dirname, "../src");
  const paths = readdirSync(src, { recursive: true, encoding: "utf8" }).map((path) => path.replaceAll("\\", "/"));
  const files = paths.filter((path) => path.endsWith(".ts") && !path.endsWith(".test.ts"));
  return new Map(files.toSorted().map((path) => [path, readFileSync(join(src, path), "utf8")]));
}

function withoutComments(text: string): string {
  return text.replaceAll(/\/\*[\s\S]*?\*\//g, "").replaceAll(/^\s*\/\/.*$/gm, "");
}

/** The files under src that this one imports, re-exports or loads, types included. */
function importsOf(path: string, text: string): string[] {
  const specifiers = withoutComments(text).matchAll(/\b(?:from|import)\s*\(?\s*["'](\.[^"']+)["']/g);
  return [...specifiers].map(([, to]) => posix.join(dirname(path), to!).replace(/\.js$/, ".ts"));
}

function placeOf(path: string): string {
  return path.includes("/") ? path.slice(0, path.indexOf("/") + 1) : path;
}

function forbiddenArrows(sources: Sources): string[] {
  return [...sources].flatMap(([from, text]) => {
    const allowed = mayImport[placeOf(from)];
    if (allowed === undefined) return [`${from} is on no floor: give its place a line in the table above`];
    const bad = importsOf(from, text).filter((to) => placeOf(to) !== placeOf(from) && !allowed.includes(placeOf(to)));
    return bad.map((to) => `${from} → ${to}`);
  });
}

/** The first circle, from a file back to itself. */
function circle(sources: Sources): string[] {
  const done = new Set<string>();
  function walk(path: string, trail: readonly string[]): string[] {
    if (trail.includes(path)) return [...trail.slice(trail.indexOf(path)), path];
    if (done.has(path)) return [];
    for (const next of importsOf(path, sources.get(path) ?? "")) {
      const found = walk(next, [...trail, path]);
      if (found.length > 0) return found;
    }
    done.add(path);
    return [];
  }
  return [...sources.keys()].map((path) => walk(path, [])).find((found) => found.length > 0) ?? [];
}

function outOfPlace(sources: Sources, rule: (typeof singlePlaces)[number]): string[] {
  return [...sources]
    .filter(([path]) => path !== rule.place && placeOf(path) !== rule.except)
    .filter(([, text]) => rule.pattern.test(withoutComments(text)))
    .map(([path]) => path);
}

describe("architecture", () => {
  const sources = readSources();

  it("imports only from its own place or from a floor below", () => {
    expect(forbiddenArrows(sources)).toEqual([]);
  });

  it("has no circle, type imports included", () => {
    expect(circle(sources).join(" → ")).toBe("");
  });

  it.each(singlePlaces)("$place is the only one to touch $what", (rule) => {
    expect(outOfPlace(sources, rule)).toEqual([]);
  });

  it(`has no file over ${longestFile} lines but generated ones`, () => {
    const long = [...sources].filter(
      ([path, text]) => !path.endsWith(".gen.ts") && text.split("\n").length > longestFile + 1,
    );
    expect(long.map(([path]) => path)).toEqual([]);
  });

  it("names files after what they hold, and has no barrels inside", () => {
    const nameless = [...sources.keys()].filter((path) => namelessFile.test(posix.basename(path)));
    const inner = [...sources.keys()].filter((path) => posix.basename(path) === "index.ts" && !barrels.includes(path));
    expect([...nameless, ...inner]).toEqual([]);
  });

  it("notices each of these", () => {
    const files = (entries: Record<string, string>): Sources => new Map(Object.entries(entries));

    expect(forbiddenArrows(files({ "redis/lease.ts": 'import type { A } from "../worker/worker.js";' }))).toEqual([
      "redis/lease.ts → worker/worker.ts",
    ]);
    expect(forbiddenArrows(files({ "core/a.ts": 'export * from "../broker/broker.js";' }))).toHaveLength(1);
    expect(forbiddenArrows(files({ "client/a.ts": 'const x = import("../inspector/inspector.js");' }))).toHaveLength(1);
    expect(forbiddenArrows(files({ "lib/a.ts": "" }))).toHaveLength(1);
    const round = { "core/a.ts": 'import type { B } from "./b.js";', "core/b.ts": 'import {\n  a,\n} from "./a.js";' };
    expect(circle(files(round))).toEqual(["core/a.ts", "core/b.ts", "core/a.ts"]);
    const places = [
      'import { Redis } from "ioredis";',
      "process.env.HOME",
      "Date.now()",
      "process.on('exit')",
      "__dirname",
    ];
    expect(singlePlaces.map((rule, i) => outOfPlace(files({ "client/a.ts": places[i]! }), rule))).toEqual(
      singlePlaces.map(() => ["client/a.ts"]),
    );
  });
});
