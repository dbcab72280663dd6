import { closeSync, fsyncSync, lstatSync, mkdirSync, openSync, realpathSync, type Stats } from "node:fs";
import { dirname, resolve } from "node:path";
import { hasControl, type HoldfastError, invalidOption, shown } from "./errors.js";
import { type FileSystem, fileSystemOf } from "./file-system.js";

/** What is accepted may be secret, and who may write here may forge tasks. */
const othersMayWrite = 0o022;

/** Made absolute. @throws OPTION_INVALID for what is no path */
export function directoryPath(value: unknown, option: string): string {
  if (typeof value === "string" && value.trim() !== "" && !hasControl(value)) return resolve(value);
  throw invalidOption(option, `must be a path, got ${shown(value)}`);
}

type Refusal = (problem: string) => HoldfastError;

/**
 * A directory for what has to last: of a spool, or of spilled dead letters. Made when it is missing; `option` is its name in
 * errors.
 * @throws OPTION_INVALID when it is not one that this user alone can write, or not on this machine
 */
export function prepareDirectory(directory: string, option: string): FileSystem {
  const refused = (problem: string): HoldfastError => invalidOption(option, problem);
  makeDirectory(directory, refused);
  requireOwn(directory, lstatSync(directory), refused);
  const fileSystem = fileSystemOf(realpathSync(directory));
  if (fileSystem.kind === "network") {
    throw refused(
      `must be on a disk of this machine, ${shown(directory)} is on ${fileSystem.name}: ` +
        "neither locks nor what is said to be written can be relied upon over a network",
    );
  }
  return fileSystem;
}

function makeDirectory(directory: string, refused: Refusal): void {
  try {
    const first = mkdirSync(directory, { recursive: true, mode: 0o700 });
    if (first !== undefined) fsyncDirectory(dirname(first));
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "EEXIST" || code === "ENOTDIR") throw refused(`must be a directory, ${shown(directory)} is none`);
    if (code === "EACCES" || code === "EPERM" || code === "EROFS")
      throw refused(`cannot be made at ${shown(directory)} (${code}): give this user the right to, or make it for it`);
    throw error;
  }
}

function requireOwn(directory: string, stats: Stats, refused: Refusal): void {
  const name = shown(directory);
  if (stats.isSymbolicLink()) throw refused(`must not be a symbolic link, as ${name} is: name the directory itself`);
  if (!stats.isDirectory()) throw refused(`must be a directory, ${name} is none`);
  const user = process.geteuid?.();
  if (user !== undefined && stats.uid !== user) {
    throw refused(`must belong to the user of this process (${user}), ${name} belongs to ${stats.uid}: chown it`);
  }
  // Windows knows no such rights.
  if (user !== undefined && (stats.mode & othersMayWrite) !== 0) {
    const mode = (stats.mode & 0o777).toString(8);
    throw refused(`must not be writable for others, ${name} has mode ${mode}: chmod 700`);
  }
}

/** A new name, or one that is gone, is durable when the directory is. */
export function fsyncDirectory(directory: string): void {
  const descriptor = openSync(directory, "r");
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}
