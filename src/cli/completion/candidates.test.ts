import { describe, expect, it } from "vitest";
import { newProgram } from "../program.js";
import { completionOf, wordsOf } from "./candidates.js";

const program = newProgram();
const completed = (line: string) => completionOf(program, wordsOf(line).slice(1));
const words = (line: string) => {
  const completion = completed(line);
  return completion.kind === "words" ? completion.candidates.map(({ word }) => word) : completion.kind;
};

describe("completion", () => {
  it("knows the commands, and those below them", () => {
    const commands =
      "stats queue task dlq worker group spool maintenance outage monitor alerts audit acl completion demo help";
    expect(words("holdfast ")).toEqual(commands.split(" "));
    expect(words("holdfast st")).toEqual(["stats"]);
    expect(words("holdfast queue ")).toEqual(["ls", "show", "pause", "resume", "rm"]);
    expect(words("holdfast task p")).toEqual(["payload"]);
    expect(words("holdfast completion ")).toEqual(["bash", "zsh", "fish"]);
  });

  it("knows the options of a command, and their values where there are few", () => {
    expect(words("holdfast stats --")).toEqual(["--watch", "--url", "--json", "--help"]);
    expect(words("holdfast task ls default -s ")).toContain("aggregating");
    expect(words("holdfast task run default --state a")).toEqual(["archived", "aggregating"]);
    expect(words("holdfast task archive default --state arch")).toEqual([]);
    expect(words("holdfast task enqueue --payload-file ")).toBe("files");
    expect(words("holdfast demo ")).toBe("files");
    expect(words("holdfast task enqueue --type ")).toEqual([]);
  });

  it("asks for queues where one is meant, in the storage that the line names", () => {
    expect(completed("holdfast queue show --url redis://h:1 ")).toEqual({ kind: "queues", url: "redis://h:1" });
    expect(words("holdfast queue pause one t")).toBe("queues");
    expect(words("holdfast task ls ")).toBe("queues");
    expect(words("holdfast task ls default ")).toEqual([]);
    expect(words("holdfast task show -q ")).toBe("queues");
    expect(words("holdfast task run -q default ")).toEqual([]);
    expect(words("holdfast stats --watch --json -")).toContain("--url");
  });

  it("splits a line as a shell does", () => {
    expect(wordsOf("holdfast  task ")).toEqual(["holdfast", "task", ""]);
    expect(wordsOf(`holdfast -p '{"a": 1}' "x \\" y" a\\ b 'unfin ished`)).toEqual([
      "holdfast",
      "-p",
      '{"a": 1}',
      'x " y',
      "a b",
      "unfin ished",
    ]);
  });
});
