import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { newTask } from "../support/builders.js";
import { CliHost, type Ended } from "../support/cli.js";
import { die } from "../support/dead.js";

describe("search, rules and quarantine from the command line", () => {
  const folder = mkdtempSync(join(tmpdir(), "holdfast-rules-"));
  const url = `file:${join(folder, "tasks.db")}`;
  let host: CliHost;
  beforeAll(async () => {
    const tasks = ["a", "b"].map((id) => newTask({ id, queue: "billing", type: "invoice:send", maxRetry: 0 }));
    await die(url, tasks, { message: "timeout" });
    host = new CliHost({ HOLDFAST_URL: url });
  });
  afterAll(async () => {
    await host[Symbol.asyncDispose]();
    rmSync(folder, { recursive: true, force: true });
  });
  const run = (...args: string[]): Promise<Ended> => host.run("dlq", ...args);
  const done = async (...args: string[]): Promise<Ended> => {
    const ended = await run(...args);
    expect({ args, ...ended }).toMatchObject({ status: 0 });
    return ended;
  };

  it("finds, says what it looked at and where to go on", async () => {
    const { stdout, stderr } = await done("search", "err~timeout", "--limit", "1");
    expect(stdout).toMatch(/^ID +QUEUE +TYPE .*\na +billing +invoice:send .* timeout\n$/);
    expect(stderr).toMatch(/^scanned 1 of 2, 1 hit; there is more:\n {2}holdfast dlq search .* --cursor (\S+)\n$/);
    const cursor = stderr.trim().split(" ").at(-1)!;
    const next = await done("search", "err~timeout", "--limit", "1", "--cursor", cursor, "--json");
    expect(JSON.parse(next.stdout)).toMatchObject({ id: "b" });
    expect((await done("search", "type:none")).stderr).toBe("scanned 2 of 2, 0 hits\n");

    const wrong = await run("search", "reason:timeot");
    expect(wrong).toMatchObject({ status: 2, stdout: "" });
    expect(wrong.stderr).toMatch(/^ {2}reason:timeot\n {9}\^\nholdfast: the search, column 8: reason is one of /);
  });

  it("adds a rule in shadow, previews it, lets it act, and removes it", async () => {
    const words = ["--run", "--owner", "ops", "--expires", "30d", "--after", "0s"];
    const added = await done("rules", "add", "again", "err~timeout", ...words);
    expect(added.stdout).toMatch(
      /^Added again: shadow\.\nOf the last 2 dead letters it matches 2, and would take 2\.\n/,
    );
    expect(added.stderr).toContain("holdfast dlq rules enable again\n");
    expect(await run("rules", "add", "again", "err~timeout", ...words)).toMatchObject({ status: 2 });
    expect(await run("rules", "add", "x", "err~timeout", "--run")).toMatchObject({ status: 2 });
    expect((await done("rules", "ls")).stdout).toMatch(/^RULE .*\nagain +shadow +run +0 +0 .* ops\n {2}err~timeout\n$/);

    expect(await run("rules", "enable", "again")).toMatchObject({ status: 2 });
    expect((await done("rules", "enable", "again", "--yes", "--json")).stdout).toContain('"status": "live"');
    expect((await done("rules", "show", "again")).stdout).toContain("\n  is         live\n");
    expect((await done("rules", "disable", "again")).stdout).toBe("again: off.\n");
    await done("rules", "rm", "again");
    expect((await done("rules", "ls")).stdout).toBe("");
  });

  it("puts into quarantine, lists it, takes out, and runs one", async () => {
    expect((await done("quarantine", "add", "billing", "a", "--reason", "leaks")).stdout).toBe("in quarantine  a\n");
    expect((await done("quarantine", "ls")).stderr).toMatch(/^1 in quarantine; scanned 2 of 2\.\n/);
    expect(await run("quarantine", "run", "billing", "b", "--yes")).toMatchObject({ status: 4 });
    expect((await done("quarantine", "run", "billing", "a", "--yes")).stdout).toBe("a will run once.\n");
    await done("quarantine", "add", "billing", "b");
    expect((await done("quarantine", "rm", "billing", "b")).stdout).toBe("taken out  b\n");
  });
});
