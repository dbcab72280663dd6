import { readFileSync } from "node:fs";
import { join } from "node:path";

/** The users as the guide has them, each in one line; their password is "secret". */
export function usersInGuide(): string[] {
  const page = readFileSync(join(import.meta.dirname, "../../docs/guide/connecting.md"), "utf8");
  const block = /```text\n(user [^`]+)```/.exec(page)?.[1] ?? "";
  return block.split(/\nuser /).map((user) =>
    user
      .replace(/^user /, "")
      .replaceAll(/\s+/g, " ")
      .trim(),
  );
}
