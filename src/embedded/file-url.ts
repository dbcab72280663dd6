import { fileURLToPath } from "node:url";
import { hasControl, invalidOption, shown } from "../core/errors.js";

/** The path of a file URL; unlike other URLs it may be relative to the working directory. @throws OPTION_INVALID */
export function filePath(url: string): string {
  const path = url.slice("file:".length);
  if (/[?#]/.test(path)) throw invalidOption("connect.url", "must not hold ? or #; in a file's name write %3F and %23");
  try {
    const plain = path.startsWith("/") ? fileURLToPath(url) : decodeURIComponent(path);
    if (plain !== "" && !plain.startsWith(":") && !plain.endsWith("/") && !hasControl(plain)) return plain;
  } catch {
    // Not an absolute path on this machine, or a stray %: as below.
  }
  throw invalidOption(
    "connect.url",
    `must name a file, such as file:./tasks.db or file:///var/lib/tasks.db, got ${shown(url)}`,
  );
}
