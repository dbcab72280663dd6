import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { typeErrors } from "../support/type-errors.js";

const files = readdirSync(import.meta.dirname).filter((file) => file.endsWith(".test-d.ts"));

describe("types", () => {
  const errors = typeErrors(join(import.meta.dirname, "tsconfig.json"));

  it.each(files)("%s compiles where it must, and nowhere else", (file) => {
    expect(errors.filter((error) => error.includes(file))).toEqual([]);
  });

  it("need nothing from outside these files that does not compile", () => {
    expect(errors.filter((error) => !files.some((file) => error.includes(file)))).toEqual([]);
  });

  it.each(files)("%s says why a line must not compile", (file) => {
    const lines = readFileSync(join(import.meta.dirname, file), "utf8").split("\n");
    const unexplained = lines.filter((line) => /@ts-expect-error\s*(\*\/)?\s*$|@ts-(ignore|nocheck)/.test(line));

    expect(unexplained).toEqual([]);
  });
});
