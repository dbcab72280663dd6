import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect } from "vitest";
import { type AlertTool, alertTool } from "../../scripts/alert-tools.js";

/** A program of the distribution's packages; where it is not there that is said, and in CI it is a failure. */
export function describeTool(tool: AlertTool, name: string, body: (program: string) => void): void {
  const program = alertTool(tool);
  if (program === undefined && process.env["CI"] === "true")
    throw new Error(`there is no ${tool}, and CI must have one`);
  if (program === undefined) process.stderr.write(`SKIPPED, for there is no ${tool}: ${name}\n`);
  (program === undefined ? describe.skip : describe)(name, () => body(program ?? tool));
}

/** Runs a program in its folder; answers how it ended and all that it said. */
export type Run = (
  args: readonly string[],
  input?: string,
) => { readonly status: number | null; readonly output: string };

export const runIn =
  (program: string, folder: string): Run =>
  (args, input = "") => {
    const { status, stdout, stderr } = spawnSync(program, args, { cwd: folder, encoding: "utf8", input });
    return { status, output: `${stdout}${stderr}` };
  };

/** Has promtool judge the folder's `rules.yml` by series, as its unit tests do. */
export function testRules(run: Run, folder: string, tests: readonly object[]): ReturnType<Run> {
  const all = { rule_files: ["rules.yml"], evaluation_interval: "1m", tests };
  writeFileSync(join(folder, "test.yml"), JSON.stringify(all)); // JSON is YAML.
  return run(["test", "rules", "test.yml"]);
}

export const rulesPassed = { status: 0, output: expect.stringContaining("SUCCESS") as string };
