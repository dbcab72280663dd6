import { cpSync, mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";
import { build } from "esbuild";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { installPacked, run, type Installed } from "./installed.js";

const root = join(import.meta.dirname, "../..");
const thread = "redis/keeper-thread.js";

function write(path: string, text: string): string {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
  return path;
}

describe("a thread's file is found", () => {
  let installed: Installed;
  const inPackage = (path: string) => join(installed.folder, "dist", path);
  const ask = 'console.log(threadFile("redis/keeper-thread"));';

  beforeAll(() => {
    installed = installPacked();
    for (const kind of ["esm", "cjs"]) write(inPackage(join(kind, thread)), "");
  });

  afterAll(() => installed[Symbol.dispose]());

  /** A program with the package inside, in a folder of its own under `folder`. */
  async function bundle(folder: string, format: "esm" | "cjs"): Promise<string> {
    const from = JSON.stringify(inPackage("esm/core/thread-file.js"));
    const program = write(join(installed.project, "source.mjs"), `import { threadFile } from ${from};\n${ask}`);
    const outfile = join(folder, `out/program.${format === "esm" ? "mjs" : "cjs"}`);
    await build({ entryPoints: [program], outfile, bundle: true, platform: "node", format, logLevel: "error" });
    return outfile;
  }

  it("by an ES module", () => {
    const url = pathToFileURL(inPackage("esm/core/thread-file.js")).href;
    const program = write(join(installed.project, "app.mjs"), `import { threadFile } from "${url}";\n${ask}`);

    expect(run("/", program)).toBe(inPackage(join("esm", thread)));
  });

  it("by a CommonJS module", () => {
    const path = JSON.stringify(inPackage("cjs/core/thread-file.js"));
    const program = write(join(installed.project, "app.cjs"), `const { threadFile } = require(${path});\n${ask}`);

    expect(run("/", program)).toBe(inPackage(join("cjs", thread)));
  });

  it.each(["esm", "cjs"] as const)(
    "by a bundle (%s) beside the installed package, wherever it is started",
    async (format) => {
      expect(run("/", await bundle(installed.project, format))).toBe(inPackage(join("esm", thread)));
    },
  );

  it.each(["esm", "cjs"] as const)(
    "by a bundle (%s) far away, started where the package is installed",
    async (format) => {
      const far = await bundle(join(installed.project, "../elsewhere"), format);

      expect(run(installed.project, far)).toBe(inPackage(join("esm", thread)));
    },
  );

  it("or the error says that the package must stay outside the bundle or be installed", async () => {
    const far = await bundle(join(installed.project, "../elsewhere"), "esm");

    expect(() => run("/", far)).toThrow(/BROKER_INCOMPATIBLE|keep holdfast out of the bundle/);
  });

  it("by the sources, in what was built from them", () => {
    const copy = join(installed.project, "../copy");
    for (const file of ["package.json", "src/core"]) cpSync(join(root, file), join(copy, file), { recursive: true });
    const built = write(join(copy, "dist/esm", thread), "");
    const program = write(join(copy, "src/core/program.ts"), `import { threadFile } from "./thread-file.js";\n${ask}`);

    expect(run("/", join(root, "node_modules/tsx/dist/cli.mjs"), program)).toBe(built);
  });
});
