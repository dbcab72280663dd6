import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, realpathSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { npm } from "../../scripts/tool.js";

const root = join(import.meta.dirname, "../..");

/** What is published, and an empty project that has installed it as a user would. */
export interface Installed extends Disposable {
  readonly tarball: string;
  readonly project: string;
  /** The installed package itself. */
  readonly folder: string;
}

/** Packs dist as it is (vitest has built it) and installs the tarball, from npm's cache where that has everything. */
export function installPacked(): Installed {
  const temporary = realpathSync(mkdtempSync(join(tmpdir(), "holdfast-package-")));
  const project = join(temporary, "project");
  mkdirSync(project);
  writeFileSync(join(project, "package.json"), '{ "private": true }\n');

  const packed = npm(["pack", "--ignore-scripts", "--silent", "--pack-destination", temporary], root);
  const tarball = join(temporary, packed.stdout.trim());
  const installed = npm(["install", "--no-audit", "--no-fund", "--prefer-offline", "--silent", tarball], project);
  if (installed.status !== 0) throw new Error(`npm could not install the packed tarball: ${installed.stdout}`);

  return {
    tarball,
    project,
    folder: join(project, "node_modules/holdfast"),
    [Symbol.dispose]: () => rmSync(temporary, { recursive: true, force: true }),
  };
}

/** Runs a program and gives what it printed; one that fails throws with what it complained of. */
export function run(cwd: string, ...args: string[]): string {
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { cwd, encoding: "utf8" });
  if (status !== 0) throw new Error(`node ${args.join(" ")} ended with ${status}:\n${stderr}${stdout}`);
  return stdout.trim();
}

/** All files below a folder, as paths from there with forward slashes. */
export function filesIn(folder: string): string[] {
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  return entries.map((entry) =>
    join(entry.parentPath, entry.name)
      .slice(folder.length + 1)
      .replaceAll("\\", "/"),
  );
}

export const bytesIn = (folder: string): number =>
  filesIn(folder).reduce((sum, file) => sum + statSync(join(folder, file)).size, 0);
