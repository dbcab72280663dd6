import { cp, mkdtemp, open, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { maxFileBytes } from "./file-index.js";

/** A temporary folder for what the demo makes: the embedded engine's file, bad files and reports. */
export interface Workshop extends AsyncDisposable {
  readonly root: string;
}

/** `badFiles` is the folder of them that the package ships; two more cannot be shipped and are made here. */
export async function openWorkshop(badFiles: string): Promise<Workshop> {
  const root = await mkdtemp(join(tmpdir(), "holdfast-demo-"));
  const bad = join(root, "bad-files");
  await cp(badFiles, bad, { recursive: true });
  await makeOversized(join(bad, "camera-footage.raw"));
  await makeDangling(join(bad, "latest-backup.txt"));
  return { root, [Symbol.asyncDispose]: async () => rm(root, { recursive: true, force: true, maxRetries: 3 }) };
}

/** One byte over the limit; sparse, so that it takes no room on the disk. */
async function makeOversized(path: string): Promise<void> {
  const file = await open(path, "w");
  await file.truncate(maxFileBytes + 1);
  await file.close();
}

async function makeDangling(path: string): Promise<void> {
  try {
    await symlink("backup-2019-01-01.txt", path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EPERM") throw error; // Windows gives not everyone the right to.
  }
}
