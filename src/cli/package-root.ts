import { readFileSync } from "node:fs";
import { join } from "node:path";

/** The folder of the package this program is part of: it runs from dist/cli, or from src/cli while it is made. */
export const packageRoot = join(import.meta.dirname, "../..");

export function packageVersion(): string {
  const { version } = JSON.parse(readFileSync(join(packageRoot, "package.json"), "utf8")) as { version: string };
  return version;
}
