import { execFile, spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { delimiter, join } from "node:path";
import { promisify } from "node:util";
import { describeRedis } from "../../support/redis-server.js";

/** Go programs that tests run, each a module of its own: what they are built from stands in their go.mod and go.sum. */
const packages = {
  /** asynq, driven by the tests. */
  witness: ".",
  /** asynq's command line program. */
  cli: "github.com/hibiken/asynq/tools/asynq",
  /** asynq's web interface with its HTTP API. */
  asynqmon: ".",
};
export type GoProgram = keyof typeof packages;

// Go's own installer leaves the PATH as it was.
const installed = ["/usr/local/go/bin", "/opt/homebrew/bin"].filter((folder) => existsSync(join(folder, "go")));
const env = { ...process.env, PATH: [process.env["PATH"], ...installed].join(delimiter) };
const folderOf = (name: GoProgram) => join(import.meta.dirname, name);

const builtFrom = (name: GoProgram) => join(import.meta.dirname, "../../../.cache/go", name);

/** What is missing, in words; undefined when all is there. Downloads the modules when they are first needed. */
function missing(): string | undefined {
  const go = spawnSync("go", ["version"], { env });
  if (go.status !== 0) return "there is no go on the PATH (https://go.dev/dl, 1.24 or newer)";
  for (const name of Object.keys(packages) as GoProgram[]) {
    // What was built once has its modules.
    if (existsSync(builtFrom(name))) continue;
    const { status, stderr } = spawnSync("go", ["list", "-deps", "-f", "{{.Name}}", packages[name]], {
      env,
      cwd: folderOf(name),
      encoding: "utf8",
    });
    if (status !== 0) return `the Go modules of ${name} cannot be had: ${stderr}`;
  }
  return undefined;
}

const absent = missing();
if (absent !== undefined && process.env["CI"] === "true") throw new Error(`${absent}; CI must have Go and asynq`);

/** Whether there is Go with its modules; says what is skipped where there is not. */
export function hasGo(name: string): boolean {
  if (absent !== undefined) process.stderr.write(`SKIPPED, for ${absent}: ${name}\n`);
  return absent === undefined;
}

/** A suite that needs Go, asynq and a Redis server: skipped, and said so, without them; in CI that is a failure. */
export function describeGo(name: string, body: () => void): void {
  if (hasGo(name)) describeRedis(name, body);
}

/** For `beforeAll`: the first build on a machine takes a minute, each later one a second. */
export const buildTimeoutMs = 600_000;

const run = promisify(execFile);

const programs = new Map<GoProgram, Promise<string>>();

/** Builds a program, if it is not as built before; answers its path. */
export function goProgram(name: GoProgram): Promise<string> {
  const program = programs.get(name) ?? build(name);
  programs.set(name, program);
  return program;
}

async function build(name: GoProgram): Promise<string> {
  const built = builtFrom(name);
  await run("go", ["build", "-buildvcs=false", "-o", built, packages[name]], { env, cwd: folderOf(name) });
  return built;
}
