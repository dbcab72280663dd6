/** Before tests and the demo: builds when a source is newer than what was built, because threads load built code. */
import { spawnSync } from "node:child_process";
import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";

const root = join(import.meta.dirname, "..");

function newest(folder: string): number {
  const files = readdirSync(join(root, folder), { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  return Math.max(0, ...files.filter(({ name }) => !name.endsWith(".test.ts")).map((entry) => statSync(join(entry.parentPath, entry.name)).mtimeMs));
}

function builtAt(): number {
  return statSync(join(root, "dist/cjs/package.json"), { throwIfNoEntry: false })?.mtimeMs ?? 0;
}

/** A build with type errors does not stop the tests: they say what else is wrong, and `npm run check` says the types. */
export default function freshBuild(): void {
  if (builtAt() >= Math.max(newest("src"), newest("scripts"))) return;
  spawnSync(process.execPath, [join(root, "node_modules/tsx/dist/cli.mjs"), "scripts/build.ts"], { cwd: root, stdio: "inherit" });
}
