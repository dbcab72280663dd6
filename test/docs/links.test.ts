import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, it } from "vitest";
import { pages } from "./blocks.js";

const root = join(import.meta.dirname, "../..");
const read = (page: string) => readFileSync(join(root, page), "utf8");
const withoutCode = (text: string) => text.replaceAll(/^```[^]*?^```/gm, "");

/** GitHub's name for a heading. */
const anchorOf = (heading: string) =>
  heading
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N} _-]/gu, "")
    .trim()
    .replaceAll(" ", "-");

function deadLinks(page: string): string[] {
  const links = [...withoutCode(read(page)).matchAll(/\]\((?!https?:)([^)\s]+)\)/g)].map(([, link]) => link!);
  return links.filter((link) => {
    const [path = "", anchor] = link.split("#");
    const target = path === "" ? page : join(dirname(page), path);
    if (!existsSync(join(root, target))) return true;
    const headings = withoutCode(read(target)).matchAll(/^#+ (.*)$/gm);
    return anchor !== undefined && ![...headings].some(([, heading]) => anchorOf(heading!) === anchor);
  });
}

describe("documentation", () => {
  it.each(pages())("has no dead link in %s", (page) => {
    expect(deadLinks(page)).toEqual([]);
  });

  it("lists every decision in its index", () => {
    const decisions = pages().filter((page) => /^docs\/decisions\/\d{4}-/.test(page));
    const index = read("docs/decisions/README.md");
    const listed = (page: string) => index.includes(`](${page.slice("docs/decisions/".length)}) | ${title(page)} |`);
    const title = (page: string) => /^# \d+\. (.*)$/m.exec(read(page))![1]!;

    expect(decisions.filter((page) => !listed(page))).toEqual([]);
  });

  it.each([
    "docs/internals/life-of-a-task.md",
    "docs/decisions/README.md",
    ...pages().filter((page) => page.includes("/decisions/")),
  ])("names only source files that there are, in %s", (page) => {
    const named = [...read(page).matchAll(/\b((?:core|broker|client|worker|redis|embedded)\/[\w/-]+\.(?:ts|lua))/g)];

    expect(named.map(([, path]) => path!).filter((path) => !existsSync(join(root, "src", path)))).toEqual([]);
  });
});
