import type { Dirent } from "node:fs";
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { HoldfastError } from "../../index.js";

/** What is made by programs, not written by people. */
export const leftOut: ReadonlySet<string> = new Set([".cache", ".git", "coverage", "dist", "node_modules"]);
/** A demo on the root of a disk has to end, too. */
const maxFiles = 50_000;

export interface TreeFile {
  /** From the root of the tree, with slashes. */
  readonly path: string;
  /** 0 where it cannot be told, such as for a dangling link. */
  readonly bytes: number;
}

export interface Tree {
  readonly files: readonly TreeFile[];
  /** Folders that could not be read. */
  readonly closed: readonly string[];
  /** There are more files than were taken. */
  readonly cut: boolean;
}

/**
 * The files of a directory, in the order of their names; links to files are files, links to folders are not followed.
 * @throws OPTION_INVALID when there is no such folder
 */
export async function readTree(root: string, without: readonly string[] = []): Promise<Tree> {
  const closed: string[] = [];
  const files: TreeFile[] = [];
  const folders = [""];
  for (let folder = folders.pop(); folder !== undefined && files.length <= maxFiles; folder = folders.pop()) {
    const entries = await entriesOf(root, folder);
    if (entries === undefined) closed.push(folder);
    const wanted = (entries ?? []).flatMap((entry) => {
      const path = folder === "" ? entry.name : `${folder}/${entry.name}`;
      return leftOut.has(entry.name) || without.includes(path) ? [] : [{ entry, path }];
    });
    folders.push(...wanted.filter(({ entry }) => entry.isDirectory()).map(({ path }) => path));
    const leaves = wanted.filter(({ entry }) => entry.isFile() || entry.isSymbolicLink());
    files.push(...(await Promise.all(leaves.map(({ path }) => fileAt(root, path)))).flat());
  }
  const taken = files.toSorted((a, b) => (a.path < b.path ? -1 : 1)).slice(0, maxFiles);
  return { files: taken, closed, cut: files.length > maxFiles };
}

async function entriesOf(root: string, folder: string): Promise<Dirent[] | undefined> {
  try {
    return await readdir(join(root, folder), { withFileTypes: true });
  } catch (error) {
    if (folder !== "") return undefined;
    const problem = `must be a folder that can be read, got ${JSON.stringify(root)} (${(error as NodeJS.ErrnoException).code})`;
    throw new HoldfastError("OPTION_INVALID", { option: "DIR", problem }, { cause: error });
  }
}

async function fileAt(root: string, path: string): Promise<TreeFile[]> {
  try {
    const found = await stat(join(root, path));
    return found.isDirectory() ? [] : [{ path, bytes: found.size }];
  } catch {
    return [{ path, bytes: 0 }]; // Its task will find out what is wrong with it.
  }
}
