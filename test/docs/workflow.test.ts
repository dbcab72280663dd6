import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";

const folder = join(import.meta.dirname, "../../.github/workflows");

/** Names that an expression begins with, in the `env` of a job (its entries stand six characters in). */
function contextsOfJobs(workflow: string): string[] {
  const envs = workflow.match(/(?<=^ {4}env:\n)(?: {6}.*\n)+/gm) ?? [];
  return envs.flatMap((env) => [...env.matchAll(/\$\{\{\s*(\w+)/g)].map(([, name]) => name!));
}

// Any other makes GitHub refuse the whole file: `runner` is not known before the job has one.
// https://docs.github.com/en/actions/reference/workflows-and-actions/contexts#context-availability
const known = new Set(["github", "needs", "strategy", "matrix", "vars", "secrets", "inputs"]);

it("workflows ask nothing in a job's env that is not known yet", () => {
  const asked = readdirSync(folder).flatMap((file) => contextsOfJobs(readFileSync(join(folder, file), "utf8")));
  expect(asked).toContain("matrix");
  expect(asked.filter((name) => !known.has(name))).toEqual([]);
});
