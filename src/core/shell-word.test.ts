import { execFileSync } from "node:child_process";
import { describe, expect, it } from "vitest";
import { shellWord } from "./shell-word.js";

describe("a word of a command to copy", () => {
  it.each([
    "default",
    "a b",
    "it's",
    "$(reboot)`id`",
    "--force",
    "",
    "back\\slash",
    "\u001b[2J'\\\n",
    "é\u202e読",
    "\u{e0041}x",
  ])("means the same to bash, and shows no terminal what it obeys: %j", (text) => {
    const word = shellWord(text);

    expect(word).not.toMatch(/[\p{Cc}\p{Cf}]/u);
    const echoed = execFileSync("bash", ["--norc", "-c", `printf %s ${word}`], { env: { LC_ALL: "C.UTF-8" } });
    expect(echoed.toString()).toBe(text);
  });
});
