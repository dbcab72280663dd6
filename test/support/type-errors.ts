import { spawnSync } from "node:child_process";
import { join } from "node:path";

const root = join(import.meta.dirname, "../..");

/** What tsc says of a project, one line per error, paths from the repository's root; empty when it compiles. */
export function typeErrors(project: string): string[] {
  const tsc = join(root, "node_modules/typescript/bin/tsc");
  const { stdout } = spawnSync(process.execPath, [tsc, "-p", project, "--pretty", "false"], {
    cwd: root,
    encoding: "utf8",
  });
  return stdout.split("\n").filter((line) => /\berror TS\d+/.test(line));
}
