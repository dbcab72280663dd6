import { spawnSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { join } from "node:path";

/** A library of ours to be loaded into a process before all others, made when it is first asked for. */
export function shim(name: "synced" | "skewed" | "kept" | "failing", folder: string): string {
  mkdirSync(folder, { recursive: true });
  const library = join(folder, `${name}.so`);
  const source = join(import.meta.dirname, "shims", `${name}.c`);
  const made = spawnSync("cc", ["-shared", "-fPIC", "-O2", "-o", library, source], { encoding: "utf8" });
  if (made.status !== 0) throw new Error(`cc: ${made.stderr}`);
  return library;
}

/** What is missing to make one. */
export const lacksCompiler = () =>
  spawnSync("cc", ["--version"]).status === 0 && process.platform === "linux"
    ? undefined
    : "needs Linux and a C compiler";
