/**
 * `npm test` is everything; `npm run check` (--fast) is what needs no server and no patience. Each step counts as one
 * check beside vitest's tests; the last line is `N passed, N failed`.
 */
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, openSync, readFileSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { setupAlertTools } from "./alert-tools.js";
import { notToBeHad } from "./node24.js";
import { setupServers } from "./setup-servers.js";
import { installTools } from "./tool.js";

const root = join(import.meta.dirname, "..");
const fast = process.argv.includes("--fast");
/** Types, lint, format, unused code. */
const staticChecks = 4;
const totals = { passed: 0, failed: 0, skipped: 0 };

function node(script: string, ...args: string[]): boolean {
  const env = fast ? { ...process.env, BROKERS: "embedded" } : process.env;
  return spawnSync(process.execPath, [join(root, script), ...args], { cwd: root, env, stdio: "inherit" }).status === 0;
}

/** A step that fails is told and counted, and the next one still runs: one run shows all there is to mend. */
function step(name: string, run: () => boolean): void {
  console.log(`\n— ${name}`);
  const ok = run();
  totals[ok ? "passed" : "failed"]++;
  if (!ok) console.log(`— ${name}: FAILED`);
}

interface VitestReport {
  numPassedTests: number;
  numFailedTests: number;
  numPendingTests: number;
  numTodoTests: number;
  testResults: { status: string; assertionResults: unknown[] }[];
}

function vitest(...args: string[]): void {
  const file = join(root, ".cache/test-report.json");
  mkdirSync(join(root, ".cache"), { recursive: true });
  rmSync(file, { force: true });
  const ok = node(
    "node_modules/vitest/vitest.mjs",
    "run",
    "--reporter=default",
    "--reporter=json",
    `--outputFile.json=${file}`,
    ...args,
  );
  const report: VitestReport = JSON.parse(readFileSync(file, "utf8"));
  // A file that cannot even be loaded has no tests to count, and is a failure all the same.
  const unloaded = report.testResults.filter((f) => f.status === "failed" && f.assertionResults.length === 0).length;
  totals.passed += report.numPassedTests;
  totals.failed += report.numFailedTests + unloaded;
  totals.skipped += report.numPendingTests + report.numTodoTests;
  if (!ok && report.numFailedTests + unloaded === 0) totals.failed++; // An error outside any test.
}

let missing: string[] = [];
if (!fast) {
  step("servers", () => {
    missing = [setupServers(), setupAlertTools()].filter((one) => one !== undefined);
    return missing.length === 0 || process.env["CI"] !== "true";
  });
}
step("build", () => node("node_modules/tsx/dist/cli.mjs", "scripts/build.ts"));

/** In the background; answers how it ended, and what it said. */
async function aside(script: string): Promise<{ status: number; said: string }> {
  const told = join(root, ".cache", `${script}.log`);
  mkdirSync(dirname(told), { recursive: true });
  const output = openSync(told, "w");
  const args = [join(root, "node_modules/tsx/dist/cli.mjs"), join(root, "scripts", script)];
  const [status] = await once(spawn(process.execPath, args, { cwd: root, stdio: ["ignore", output, output] }), "exit");
  return { status, said: readFileSync(told, "utf8") };
}

// Many tests wait for something: meanwhile there is time for the checks. What they say comes after the tests.
installTools();
const checked = aside("static-checks.ts");
const onNode24 = fast ? undefined : checked.then(() => aside("node24.ts"));

console.log("\n— tests");
try {
  vitest(
    ...(fast ? ["--project=unit", "--project=fast", "--project=ahead"] : []),
    ...process.argv.slice(2).filter((arg) => arg !== "--fast"),
  );
} catch (error) {
  console.error(error); // Vitest itself ended before it could report.
  totals.failed++;
}

const { said } = await checked;
console.log(said);
const fine = said.match(/^— .+: ok$/gm)?.length ?? 0;
totals.passed += fine;
// A check that did not get as far as to say so has failed.
totals.failed += staticChecks - fine;

if (onNode24 !== undefined) {
  const { status, said: log } = await onNode24;
  if (status === notToBeHad) {
    missing.push(
      "NPM COULD NOT GIVE NODE 24: the embedded engine's tests on SQLite as Node has it built in are skipped.",
    );
  }
  const ok = status === 0 || (status === notToBeHad && process.env["CI"] !== "true");
  step("the embedded engine on Node 24", () => {
    console.log(ok ? log.split("\n").slice(-8).join("\n") : log);
    return ok;
  });
}

for (const one of missing) console.log(`\n${one}`);
if (totals.skipped > 0) console.log(`${totals.skipped} skipped`);
console.log(`${totals.passed} passed, ${totals.failed} failed`);
process.exitCode = totals.failed === 0 ? 0 : 1;
