import { spawnSync } from "node:child_process";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { typeErrors } from "../support/type-errors.js";
import { blocksOf, pages, type Block } from "./blocks.js";

/** Below the package, so that "holdfast" is the package itself: dist, as users get it. */
const folder = join(import.meta.dirname, "../../.cache/examples");

const blocks = pages().flatMap((page) => blocksOf(page));
/** A worker logs what failed, and examples let tasks fail: a sentence, and fields in braces. */
const withoutLog = (stderr: string) => stderr.replaceAll(/^holdfast: [^{\n]* \{[^}]*\}\n/gm, "");
const fileOf = ({ at, language }: Block) => `${at.replaceAll(/\W+/g, "-")}.${language === "js" ? "mjs" : "ts"}`;

describe("examples in README and docs", () => {
  beforeAll(() => {
    rmSync(folder, { recursive: true, force: true });
    mkdirSync(folder, { recursive: true });
    for (const block of blocks) writeFileSync(join(folder, fileOf(block)), block.code);
    const options = { rootDir: "../..", noUnusedLocals: false, noUnusedParameters: false };
    const project = { extends: "../../tsconfig.json", compilerOptions: options, include: ["*.ts"] };
    writeFileSync(join(folder, "none.ts"), "export {};\n"); // tsc will not start without a file.
    writeFileSync(join(folder, "tsconfig.json"), JSON.stringify(project));
  });

  it.each(blocks.filter(({ language }) => language === "js"))(
    "$at runs and ends by itself",
    (block) => {
      const { status, stdout, stderr } = spawnSync(process.execPath, [fileOf(block)], {
        cwd: folder,
        encoding: "utf8",
        timeout: 15_000,
      });

      expect({ status, stderr: withoutLog(stderr) }).toEqual({ status: 0, stderr: "" });
      if (block.output !== undefined) expect(stdout.trimEnd()).toBe(block.output.trimEnd());
    },
    20_000,
  );

  it("in TypeScript compile as they stand", () => {
    const errors = typeErrors(join(folder, "tsconfig.json"));
    const named = blocks.reduce((text, block) => text.replaceAll(fileOf(block), block.at), errors.join("\n"));

    expect(named).toBe("");
  });

  it("are found by their mark, with their place and their output", () => {
    const page = ["# A", "```js", "no", "```", "```js runnable", "yes()", "```", "", "```text output", "1", "```"].join(
      "\n",
    );

    expect(blocksOf("a.md", page)).toEqual([{ at: "a.md:6", language: "js", code: "yes()\n", output: "1\n" }]);
  });
});
