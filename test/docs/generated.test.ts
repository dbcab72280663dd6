import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { filled, generatedPages } from "../../scripts/generated-pages.js";
import * as keys from "../../src/redis/keys.js";

const root = join(import.meta.dirname, "../..");
const read = (path: string) => readFileSync(join(root, path), "utf8");

describe("documentation that is made from code", () => {
  it.each(generatedPages())("is up to date in $path (npm run docs)", ({ path, text }) => {
    expect(read(path)).toBe(text);
  });

  it("must have a place for each text, and a text for each place", () => {
    expect(filled("<!-- begin a -->\nold\n<!-- end a -->\n", { a: "new" }, "p.md")).toBe(
      "<!-- begin a -->\nnew\n<!-- end a -->\n",
    );
    expect(() => filled("", { a: "new" }, "p.md")).toThrow("no place for: a");
    expect(() => filled("<!-- begin a -->\n<!-- end a -->\n", {}, "p.md")).toThrow("nobody fills <!-- begin a -->");
  });
});

describe("docs/internals/redis-keys.md", () => {
  const page = read("docs/internals/redis-keys.md");
  const sources = readdirSync(join(root, "src/redis"), { recursive: true, encoding: "utf8" })
    .filter((path) => /\.(ts|lua)$/.test(path) && !path.endsWith(".gen.ts"))
    .map((path) => read(join("src/redis", path)));
  const found = (pattern: RegExp) => [
    ...new Set(sources.flatMap((text) => [...text.matchAll(pattern)].map(([, name]) => name!))),
  ];

  it("names every key that src/redis/keys.ts builds, and none that it does not", () => {
    const builders = Object.keys(keys);
    const named = [...page.matchAll(/\| `(\w+Key)` \|/g)].map(([, name]) => name!);

    expect(builders.filter((name) => !page.includes(`\`${name}\``))).toEqual([]);
    expect(named.filter((name) => !builders.includes(name))).toEqual([]);
  });

  it("names every key that a script builds, and every field of ours", () => {
    const suffixes = found(/\basynq \.\. "([a-z_]+)[:"]/g).filter((name) => !page.includes(`asynq:{q}:${name}`));
    const ours = found(/\bholdfast \.\. "([a-z_]+)[:"]/g).filter((name) => !page.includes(`holdfast:{q}:${name}`));
    const fields = found(/\b(hf_[a-z_]+)/g);

    expect([...suffixes, ...ours]).toEqual([]);
    expect(fields.filter((name) => !page.includes(`\`${name}\``))).toEqual([]);
    expect(fields.length).toBeGreaterThan(3);
  });
});
