import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { parseSearch, searchFields } from "../../src/deadletter/index.js";

const page = readFileSync(join(import.meta.dirname, "../../docs/guide/dead-letter-search.md"), "utf8");
const rows = page.split("\n").filter((line) => line.startsWith("| `"));
const examples = rows.flatMap((row) => [...row.split("|")[1]!.matchAll(/`([^`]+)`/g)].map(([, term]) => term!));

describe("the guide to searches", () => {
  it.each(examples)("has an example that can be read: %s", (example) => {
    expect(parseSearch(example).terms).toHaveLength(1);
  });

  it("has an example of each field", () => {
    const terms = examples.flatMap((example) => parseSearch(example).terms);
    const fields = new Set(terms.map((term) => (term.kind === "field" ? term.field : "")));

    for (const field of Object.keys(searchFields)) expect([...fields]).toContain(field);
  });
});
