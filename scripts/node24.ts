/**
 * The embedded engine's tests on Node 24, which is recommended and has SQLite built in, where the Node that runs has not:
 * that is another driver. `tsx scripts/node24.ts [FILES]` gets Node 24 from npm (120 MB, kept in .cache).
 */
import { spawnSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { npm } from "./tool.js";

const root = join(import.meta.dirname, "..");
const version = "24.21.0";
/** Npm could not give it. */
export const notToBeHad = 3;

function node24(): string | undefined {
  const folder = join(root, ".cache/node24");
  const windows = process.platform === "win32";
  // Npm's package `node` only chooses among these, by an install script.
  const name = `node-${process.platform === "darwin" && process.arch === "arm64" ? "bin-" : ""}${windows ? "win" : process.platform}-${process.arch}`;
  const program = join(folder, "node_modules", name, windows ? "bin/node.exe" : "bin/node");
  const isThere = () => spawnSync(program, ["--version"], { encoding: "utf8" }).stdout?.trim() === `v${version}`;
  if (isThere()) return program;
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "package.json"), '{ "private": true }\n');
  console.log(`Getting Node ${version} (${name}) from npm`);
  npm(["install", "--no-audit", "--no-fund", "--ignore-scripts", `${name}@${version}`], folder);
  return isThere() ? program : undefined;
}

function run(files: readonly string[]): number {
  if (process.getBuiltinModule?.("node:sqlite") !== undefined) {
    console.log(`Node ${process.version} has SQLite built in: its tests are all tests`);
    return 0;
  }
  const program = node24();
  if (program === undefined) return notToBeHad;
  const vitest = join(root, "node_modules/vitest/vitest.mjs");
  const args = ["run", "--project=unit", "--project=fast", "--maxWorkers=2", ...files];
  const env = { ...process.env, BROKERS: "embedded" };
  return spawnSync(program, [vitest, ...args], { cwd: root, env, stdio: "inherit" }).status ?? 1;
}

if (process.argv[1] === import.meta.filename) {
  const files = process.argv.slice(2);
  process.exitCode = run(files.length === 0 ? ["src/embedded"] : files);
}
