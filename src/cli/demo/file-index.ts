import { createHash } from "node:crypto";
import { readFile, stat } from "node:fs/promises";
import { isUtf8 } from "node:buffer";
import { extname } from "node:path";
import { promisify } from "node:util";
import { gzip } from "node:zlib";
import { SkipRetry } from "../../index.js";

/** What the index keeps of a file. */
export interface FileEntry {
  readonly sha256: string;
  readonly bytes: number;
  /** Line feeds, as `wc -l` counts. */
  readonly lines: number;
  readonly gzipBytes: number;
}

export const maxFileBytes = 16 * 1_048_576;

const textKinds = new Set([
  ".css",
  ".csv",
  ".html",
  ".js",
  ".json",
  ".log",
  ".md",
  ".mjs",
  ".sql",
  ".ts",
  ".tsx",
  ".txt",
  ".xml",
  ".yaml",
  ".yml",
]);
const compress = promisify(gzip);

/**
 * Read a file, check it and describe it.
 * @throws SkipRetry for what another attempt cannot mend; any other error is worth one
 */
export async function indexFile(path: string): Promise<FileEntry> {
  const content = await contentOf(path);
  const kind = extname(path).toLowerCase();
  if (textKinds.has(kind) && !isUtf8(content)) throw new SkipRetry(`a ${kind} file that is not valid UTF-8`);
  if (kind === ".json" && !isJson(content.toString("utf8"))) throw new SkipRetry("a .json file that is not valid JSON");
  return {
    sha256: createHash("sha256").update(content).digest("hex"),
    bytes: content.length,
    lines: lineFeeds(content),
    gzipBytes: (await compress(content)).length,
  };
}

async function contentOf(path: string): Promise<Buffer> {
  try {
    const found = await stat(path);
    if (!found.isFile()) throw new SkipRetry("not a regular file");
    if (found.size > maxFileBytes) throw new SkipRetry(`larger than the limit of ${maxFileBytes / 1_048_576} MiB`);
    return await readFile(path);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    const problem = code === "ENOENT" ? "the file is not there" : "the file cannot be read";
    // The system's own sentence names the file, so that no two failures would be alike; and a cause is stored as well.
    // oxlint-disable-next-line eslint/preserve-caught-error
    if (code !== undefined) throw new Error(`${problem} (${code})`);
    throw error;
  }
}

function lineFeeds(content: Buffer): number {
  let count = 0;
  for (let at = content.indexOf(10); at !== -1; at = content.indexOf(10, at + 1)) count += 1;
  return count;
}

/** As strict as the tools that read such files: comments and a comma at the end are allowed, for tsconfig.json has them. */
function isJson(text: string): boolean {
  const kept = (match: string) => (match.startsWith('"') ? match : " ");
  const plain = text
    .replace(/^\uFEFF/, "")
    .replace(/"(?:\\.|[^"\\])*"|\/\/.*|\/\*[^]*?\*\//g, kept)
    .replace(/"(?:\\.|[^"\\])*"|,(?=\s*[}\]])/g, kept);
  try {
    JSON.parse(plain);
    return true;
  } catch {
    return false;
  }
}
