/**
 * `tsx scripts/tool.ts oxlint …`: runs a tool from tools/, which has a lockfile of its own and is installed when first
 * needed or changed, so that a clone with `npm ci` is ready sooner and half the size.
 */
import { spawnSync } from "node:child_process";
import { readFileSync, statSync } from "node:fs";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = join(import.meta.dirname, "..");
const modules = join(root, "tools/node_modules");

const packages = {
  attw: "@arethetypeswrong/cli",
  knip: "knip",
  oxfmt: "oxfmt",
  oxlint: "oxlint",
  publint: "publint",
} as const;

export type Tool = keyof typeof packages;

/** The same npm that runs us, as a command for any platform. */
export function npm(args: readonly string[], cwd: string): { status: number | null; stdout: string } {
  const script = process.env["npm_execpath"];
  const [program, first] = script === undefined ? ["npm", []] : [process.execPath, [script]];
  return spawnSync(program, [...first, ...args], { cwd, encoding: "utf8", stdio: ["ignore", "pipe", "inherit"] });
}

/** Makes tools/ what its lockfile says. */
export function installTools(): void {
  const lock = statSync(join(root, "tools/package-lock.json"));
  const installed = statSync(join(modules, ".package-lock.json"), { throwIfNoEntry: false });
  if (installed !== undefined && installed.mtimeMs >= lock.mtimeMs) return;
  console.log("Installing the lint and packaging tools (tools/)");
  if (npm(["ci", "--no-audit", "--no-fund"], join(root, "tools")).status !== 0)
    throw new Error("`npm ci` failed in tools/");
}

/** Runs a tool from the root with its output shown, or kept when `quiet`; says whether it was content. */
export function runTool(name: Tool, args: readonly string[], quiet = false): { ok: boolean; output: string } {
  installTools();
  const folder = join(modules, packages[name]);
  const { bin } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
  const { status, stdout, stderr } = spawnSync(process.execPath, [join(folder, bin[name] ?? bin), ...args], {
    cwd: root,
    encoding: "utf8",
    stdio: quiet ? "pipe" : "inherit",
    // oxlint looks for its type-aware half on the PATH.
    env: { ...process.env, PATH: `${join(modules, ".bin")}${delimiter}${process.env["PATH"] ?? ""}` },
  });
  return { ok: status === 0, output: `${stdout ?? ""}${stderr ?? ""}` };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [name, ...args] = process.argv.slice(2);
  process.exitCode = runTool(name as Tool, args).ok ? 0 : 1;
}
