import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { HoldfastError } from "./errors.js";

/** The parts of Holdfast that run in a thread of their own. */
export type ThreadName = "redis/keeper-thread" | "embedded/store-thread" | "embedded/spool/spool-thread";

/**
 * The built file to start a thread from: beside this one when it runs from dist/esm or dist/cjs; in dist when the
 * sources themselves run, as in our tests; in the installed package when a bundler has moved this code elsewhere.
 * @throws BROKER_INCOMPATIBLE when there is none: everything was bundled and the package not installed.
 */
export function threadFile(name: ThreadName): string {
  for (const file of candidates(name)) if (existsSync(file)) return file;
  throw new HoldfastError("BROKER_INCOMPATIBLE", {
    broker: `the ${name.slice(0, name.indexOf("/"))} engine`,
    problem: `its thread runs ${name}.js, which is neither beside ${here} nor in an installed package "holdfast": keep holdfast out of the bundle (external), or install it where the bundle runs`,
  });
}

/** This file. CommonJS has no import.meta, ES modules have no __filename, and after bundling it is the bundle. */
const here = typeof __filename === "string" ? __filename : fileURLToPath(import.meta.url);

/** Where it may be, the likeliest first. */
function* candidates(name: ThreadName): Generator<string> {
  const above = dirname(dirname(here));
  yield join(above, `${name}.js`);
  if (here.endsWith(".ts")) yield join(above, "..", "dist", "esm", `${name}.js`);
  for (const start of [here, join(process.cwd(), "package.json")]) {
    const installed = installedFrom(start);
    if (installed !== undefined) yield join(installed, "dist", "esm", `${name}.js`);
  }
}

/** The folder of the package "holdfast" as a file at `start` would import it. */
function installedFrom(start: string): string | undefined {
  try {
    return dirname(createRequire(start).resolve("holdfast/package.json"));
  } catch {
    return undefined; // Not installed there: that is an answer, and the caller asks elsewhere.
  }
}
