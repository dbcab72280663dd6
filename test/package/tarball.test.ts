import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { runTool } from "../../scripts/tool.js";
import { bytesIn, filesIn, installPacked, run, type Installed } from "./installed.js";

const entries = [
  "holdfast",
  "holdfast/redis",
  "holdfast/embedded",
  "holdfast/testing",
  "holdfast/http",
  "holdfast/dead-letters",
  "holdfast/ops",
];
const budget = { bytes: 10_000_000, packages: 15 };
/** What is on the disk when `npm run demo` has ended in a clean clone: its history, some 12 MB, is left out. */
const demoBytes = 185_000_000;
const root = join(import.meta.dirname, "../..");

interface Lock {
  packages: Record<string, { hasInstallScript?: boolean }>;
}

describe("the packed tarball", () => {
  let installed: Installed;

  beforeAll(() => {
    installed = installPacked();
  });

  afterAll(() => installed[Symbol.dispose]());

  it("gives the same names to import and to require, for every entry", () => {
    const names = (load: string) => `Object.keys(${load}).filter((n) => n !== "default").sort().join()`;
    const esm = entries.map((entry) => `console.log(${names(`await import("${entry}")`)});`).join("\n");
    const cjs = entries.map((entry) => `console.log(${names(`require("${entry}")`)});`).join("\n");
    writeFileSync(join(installed.project, "app.mjs"), esm);
    writeFileSync(join(installed.project, "app.cjs"), cjs);

    expect(run(installed.project, "app.cjs")).toBe(run(installed.project, "app.mjs"));
  });

  it("offers the names that are written down, and no others", async () => {
    const lists = entries.map((entry) => `# ${entry}\n${publicNames(installed.folder, entry).join("\n")}\n`);

    await expect(lists.join("\n")).toMatchFileSnapshot("public-names.txt");
  });

  it("has a command line program that starts and lists the licences inside it", () => {
    expect(() => run(installed.project, join(installed.folder, "dist/cli/main.js"), "--help")).not.toThrow();
    expect(filesIn(installed.folder)).toContain("dist/cli/NOTICES.txt");
  });

  it("carries its licence, and neither sources nor tests", () => {
    const files = filesIn(installed.folder);

    expect(files).toEqual(expect.arrayContaining(["LICENSE", "NOTICE", "CHANGELOG.md", "package.json"]));
    expect(files.filter((file) => /^(src|test|scripts|docs)\/|\.test\.|\.tsbuildinfo$/.test(file))).toEqual([]);
  });

  it("runs under Jest: CommonJS files neither import() nor look at import.meta", () => {
    const files = filesIn(join(installed.folder, "dist/cjs")).filter((file) => file.endsWith(".js"));
    // A method may be called so.
    const modern = files.filter((file) =>
      /(?<!\basync )\bimport\(|\bimport\.meta\b/.test(code(join(installed.folder, "dist/cjs", file))),
    );

    expect(modern).toEqual([]);
  });

  it(`stays within ${budget.bytes / 1e6} MB and ${budget.packages} packages, and runs no install script`, () => {
    const modules = join(installed.project, "node_modules");
    const lock: Lock = JSON.parse(readFileSync(join(modules, ".package-lock.json"), "utf8"));
    const bytes = bytesIn(modules);

    expect(bytes).toBeLessThan(budget.bytes);
    expect(Object.keys(lock.packages).length).toBeLessThanOrEqual(budget.packages);
    expect(Object.entries(lock.packages).filter(([, entry]) => entry.hasInstallScript)).toEqual([]);
  });

  it("takes less than 200 MB for the demo from a clone: sources, what npm ci installs, and what is built", () => {
    const bytes = ["node_modules", "dist", "src", "test", "docs", "scripts"].map((name) => bytesIn(join(root, name)));

    expect(bytes.reduce((sum, one) => sum + one)).toBeLessThan(demoBytes);
  });

  it("is in order for publint", () => {
    const { ok, output } = runTool("publint", [installed.tarball, "--strict"], true);

    expect(ok, output).toBe(true);
  });

  it("has types for moduleResolution node10, node16 (both kinds) and bundler", () => {
    const { ok, output } = runTool("attw", [installed.tarball, "--no-color"], true);

    expect(ok, output).toBe(true);
  });
});

/** A file without its comments and strings, which may speak of anything. */
function code(path: string): string {
  return readFileSync(path, "utf8").replaceAll(/\/\*[\s\S]*?\*\/|\/\/.*$|"(?:\\.|[^"\\\n])*"/gm, "");
}

/** Every name that an entry's types export; those of types are marked. */
function publicNames(folder: string, entry: string): string[] {
  const { exports } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
  const text = readFileSync(join(folder, exports[`.${entry.slice("holdfast".length)}`].import.types), "utf8");
  const listed = [...text.matchAll(/^export (type )?\{([^}]*)\}/gm)].flatMap(([, type = "", list = ""]) =>
    list.split(",").map((item) => `${type}${item.trim().replace(/^(type )?.* as /, "$1")}`),
  );
  const declared = [
    ...text.matchAll(/^export (?:declare (?:abstract )?(?:const|class|function)|(interface|type)) (\w+)/gm),
  ];
  const names = [...listed, ...declared.map(([, type, name]) => `${type === undefined ? "" : "type "}${name}`)];
  return [...new Set(names)].filter((name) => name.trim() !== "").toSorted();
}
