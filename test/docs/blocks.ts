import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

const root = join(import.meta.dirname, "../..");

/** A fenced block that a page marks as whole: ```` ```js runnable ```` or ```` ```ts runnable ````. */
export interface Block {
  /** `README.md:12`: where its first line is. */
  readonly at: string;
  readonly language: "js" | "ts";
  readonly code: string;
  /** What it must print: the block marked `text output` that follows it, if there is one. */
  readonly output: string | undefined;
}

/** README.md and every page below docs/. */
export function pages(): string[] {
  const docs = readdirSync(join(root, "docs"), { recursive: true, encoding: "utf8" });
  const paths = ["README.md", ...docs.map((path) => `docs/${path.replaceAll("\\", "/")}`)];
  return paths.filter(
    (path) => path.endsWith(".md") && !path.includes("node_modules/") && existsSync(join(root, path)),
  );
}

export function blocksOf(page: string, text = readFileSync(join(root, page), "utf8")): Block[] {
  const fences = [...text.matchAll(/^```(\w+)([^\n]*)\n([\s\S]*?)^```/gm)];
  return fences.flatMap((fence, i) => {
    const [, language, marks = "", code = ""] = fence;
    if ((language !== "js" && language !== "ts") || !/\brunnable\b/.test(marks)) return [];
    const next = fences[i + 1];
    const output = next?.[1] === "text" && /\boutput\b/.test(next[2] ?? "") ? next[3] : undefined;
    return [{ at: `${page}:${text.slice(0, fence.index).split("\n").length + 1}`, language, code, output }];
  });
}
