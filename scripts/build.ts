/**
 * dist/esm and its types by tsc; dist/cjs from the same sources by esbuild, file by file; dist/cli as one bundled file.
 *
 * All of it is made in a folder of its own and swapped in at the end, so that running programs and tests never meet
 * half a build. Type errors fail the build, but what was made is swapped in nevertheless: tests can run beside them.
 */
import { spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { build } from "esbuild";
import { bundleCli } from "./bundle-cli.js";
import { buildIsFresh } from "./fresh-build.js";

const root = join(import.meta.dirname, "..");
const out = join(root, `.cache/build-${process.pid}`);
const forNode20 = { target: "node20.19", platform: "node", logLevel: "warning" } as const;

function run(program: string, ...args: string[]): boolean {
  return (
    spawnSync(process.execPath, [join(root, "node_modules", program), ...args], { cwd: root, stdio: "inherit" })
      .status === 0
  );
}

/** Source files of the library, from the root; the command line and the tests are no part of it. */
function librarySources(): string[] {
  return readdirSync(join(root, "src"), { recursive: true, encoding: "utf8" })
    .map((path) => path.replaceAll("\\", "/"))
    .filter((path) => path.endsWith(".ts") && !path.endsWith(".test.ts") && !path.startsWith("cli/"))
    .map((path) => `src/${path}`);
}

/**
 * The twin for `require`. Dynamic imports become `require` too, because Jest runs no `import()` in CommonJS files;
 * `import.meta` becomes an empty object, and core/thread-file.ts, the only one to look at it, knows that.
 */
async function buildCjs(): Promise<void> {
  await build({
    ...forNode20,
    entryPoints: librarySources(),
    absWorkingDir: root,
    outbase: "src",
    outdir: join(out, "cjs"),
    format: "cjs",
    supported: { "dynamic-import": false },
    logOverride: { "empty-import-meta": "silent" },
  });
  cpSync(join(out, "esm"), join(out, "cjs"), { recursive: true, filter: (path) => !path.endsWith(".js") });
  writeFileSync(join(out, "cjs/package.json"), '{ "type": "commonjs" }\n');
}

/** Two renames, and a third try for whoever builds at the same moment. */
function swapIn(): void {
  const old = `${out}-old`;
  for (let tries = 0; existsSync(out); tries++) {
    try {
      if (existsSync(join(root, "dist"))) renameSync(join(root, "dist"), `${old}-${tries}`);
      renameSync(out, join(root, "dist"));
    } catch (error) {
      if (tries === 3) throw error;
    }
    rmSync(`${old}-${tries}`, { recursive: true, force: true });
  }
}

if (process.argv.includes("--if-needed") && buildIsFresh()) process.exit(0);

mkdirSync(out, { recursive: true });
try {
  if (existsSync(join(root, "scripts/build-lua.ts")) && !run("tsx/dist/cli.mjs", "scripts/build-lua.ts"))
    process.exit(1);
  const typesAreRight = run("typescript/bin/tsc", "-p", "tsconfig.build.json", "--outDir", join(out, "esm"));
  await buildCjs();
  if (existsSync(join(root, "src/cli/main.ts"))) await bundleCli(root, join(out, "cli"));
  swapIn();
  if (!typesAreRight) process.exitCode = 1;
} finally {
  rmSync(out, { recursive: true, force: true });
}
