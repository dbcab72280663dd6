/** What can be said of the code without running it: types, lint, format, what is unused. A line for each says how it went. */
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { runTool } from "./tool.js";

const root = join(import.meta.dirname, "..");
const checks: Readonly<Record<string, () => boolean>> = {
  types: () => {
    const args = [join(root, "node_modules/typescript/bin/tsc"), "-p", "."];
    return spawnSync(process.execPath, args, { cwd: root, stdio: "inherit" }).status === 0;
  },
  lint: () => runTool("oxlint", []).ok,
  format: () => runTool("oxfmt", ["--check"]).ok,
  "unused code and dependencies": () => runTool("knip", []).ok,
};

for (const [name, run] of Object.entries(checks)) {
  console.log(`\n— ${name}`);
  const ok = run();
  console.log(`— ${name}: ${ok ? "ok" : "FAILED"}`);
  if (!ok) process.exitCode = 1;
}
