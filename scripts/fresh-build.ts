import { spawnSync } from "node:child_process";
import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";

const root = join(import.meta.dirname, "..");

/** Whether dist is as new as every source and every script that makes it. */
export function buildIsFresh(): boolean {
  const built = statSync(join(root, "dist/cjs/package.json"), { throwIfNoEntry: false });
  return built !== undefined && built.mtimeMs >= Math.max(newest("src"), newest("scripts"));
}

function newest(folder: string): number {
  const entries = readdirSync(join(root, folder), { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile() && !entry.name.endsWith(".test.ts"))
    .map((entry) => statSync(join(entry.parentPath, entry.name)).mtimeMs)
    .reduce((a, b) => Math.max(a, b), 0);
}

/** Vitest calls this once before all tests, because threads load built code. Type errors are for `check` to report. */
export default function freshBuild(): void {
  if (buildIsFresh()) return;
  const tsx = join(root, "node_modules/tsx/dist/cli.mjs");
  spawnSync(process.execPath, [tsx, "scripts/build.ts"], { cwd: root, stdio: "inherit" });
}
