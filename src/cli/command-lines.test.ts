import { execFileSync } from "node:child_process";
import { describe, expect, it } from "vitest";
import { shellWord } from "../core/shell-word.js";
import { commandLines } from "./command-lines.js";

describe("a command to copy", () => {
  it.each([
    [["printf", "%s,", "short"]],
    [["printf", "%s,", "notifications-transactional-eu-west-1", "0199cc0e-3f2a-7c51-9d0b-00000000000c", "--x"]],
    [["printf", "%s,", "--limit", "3", "--cursor", "WyI1NzdlZjUz".repeat(20)]],
    [["printf", "%s,", "it's a long text in quotes, which is not broken", "and another one that is as long as that"]],
  ])("fits the terminal, and means the same to a shell: %j", (words) => {
    const lines = commandLines(words.map(shellWord), 60);

    expect(lines.filter((line) => line.length > 60)).toEqual([]);
    const printed = execFileSync("sh", ["-c", lines.join("\n")]).toString();
    expect(printed).toBe(`${words.slice(2).join(",")},`);
    expect(commandLines(words, Number.POSITIVE_INFINITY)).toEqual([`  ${words.join(" ")}`]);
  });
});
