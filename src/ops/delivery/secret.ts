import { readFile } from "node:fs/promises";

/** From its file where there is one, anew each time: what has been rotated holds with the next delivery. */
export async function secretOf(given: string | undefined, file: string | undefined): Promise<string | undefined> {
  return file === undefined ? given : (await readFile(file, "utf8")).trimEnd();
}
