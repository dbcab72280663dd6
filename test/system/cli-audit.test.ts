import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { connect, Inspector } from "../../src/index.js";
import { newTask } from "../support/builders.js";
import { CliHost, holdfast } from "../support/cli.js";

describe("holdfast audit", () => {
  let folder: string;
  let host: CliHost;
  const file = (name: string) => join(folder, name);
  const url = () => `file:${file("tasks.db")}`;
  const audit = (...args: string[]) => host.run("audit", ...args);
  const pause = async (reason: string) => {
    await using broker = connect(url());
    await new Inspector(broker, { actor: "ann" }).pause("mail", { reason });
    await new Inspector(broker, { actor: "bob" }).resume("mail");
  };

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "holdfast-cli-audit-"));
    host = new CliHost({ HOLDFAST_URL: url() });
    await using broker = connect(url());
    await broker.enqueue([newTask({ id: "1", queue: "mail" })], broker.clock.nowMs());
  });
  afterAll(async () => {
    await host[Symbol.asyncDispose]();
    rmSync(folder, { recursive: true, force: true });
  });

  it("goes from a key to a log that verifies in storage and in files, and shows what was done to it", async () => {
    const made = await audit("keygen", file("key.pem"));
    expect(made.stdout).toMatch(/^key [0-9a-f]{16} is in /);
    expect(statSync(file("key.pem")).mode & 0o777).toBe(0o600);
    expect((await audit("keygen", file("key.pem"))).status).toBe(2);
    const publicKey = ["--public-key", file("key.pem.pub")];
    const seal = () => audit("seal", "--key-file", file("key.pem"), "--head", file("head.json"));

    await pause("the bank is closed");
    expect((await audit("verify", ...publicKey)).stdout).toMatch(
      /2 acts are not sealed yet, .*: nothing protects them/,
    );
    expect((await seal()).stdout).toMatch(/^2 acts sealed; the log ends at record 2, hash [0-9a-f]{64}\n$/);
    const head = readFileSync(file("head.json"), "utf8");
    expect((await audit("export", "--to", file("log.jsonl"))).stdout).toContain("2 records appended");
    await pause("again");
    await seal();
    expect((await audit("export", "--to", file("log.jsonl"))).stdout).toContain("2 records appended");
    writeFileSync(file("old-head.json"), head);

    const listed = JSON.parse((await audit("ls", "--json")).stdout) as object[];
    expect(listed[3]).toMatchObject({
      queue: "mail",
      verb: "pause",
      actor: "ann",
      reason: "the bank is closed",
      sealed: true,
    });
    expect((await audit("ls", "mail", "--limit", "1")).stdout).toMatch(
      /^TIME .*SEALED\n.* mail +resume .* bob +yes\n$/,
    );
    const whole = await audit("verify", ...publicKey, "--head", file("head.json"), "--head", file("old-head.json"));
    expect(whole).toMatchObject({ status: 0, stderr: "" });
    expect(whole.stdout).toMatch(/^4 records, 1 to 4, sealed until .*: as they were sealed\nhead /);

    const lines = readFileSync(file("log.jsonl"), "utf8").trimEnd().split("\n");
    const inFile = async (text: readonly string[], ...more: string[]) => {
      writeFileSync(file("copy.jsonl"), `${text.join("\n")}\n`);
      return holdfast(["audit", "verify", file("copy.jsonl"), ...publicKey, ...more, "--json"]);
    };
    expect(JSON.parse((await inFile(lines, "--head", file("head.json"))).stdout)).toMatchObject({
      ok: true,
      records: 4,
      unsealed: null,
    });
    const cut = await inFile(lines.slice(0, 3), "--head", file("head.json"));
    expect(cut.status).toBe(5);
    expect(JSON.parse(cut.stdout)).toMatchObject({
      problems: [{ n: 3, problem: "the log ends here, and had ended at 4: its end was cut off" }],
    });
    const edited = await inFile(lines.with(1, lines[1]!.replace('"bob"', '"eve"')));
    expect(JSON.parse(edited.stdout)).toMatchObject({ ok: false, problemCount: 1, problems: [{ n: 2 }] });
  });

  it("says what is missing in a call", async () => {
    expect(await audit("seal")).toMatchObject({ status: 2, stderr: /which key is to sign\?/ });
    expect(await audit("verify", "--public-key", file("none"))).toMatchObject({ status: 2 });
    writeFileSync(file("wrong.pem"), "-----BEGIN PRIVATE KEY-----\nhunter2\n-----END PRIVATE KEY-----\n");
    const wrong = await audit("seal", "--key-file", file("wrong.pem"));
    expect(wrong).toMatchObject({ status: 2, stderr: /must be a private key for Ed25519/ });
    expect(wrong.stderr).not.toContain("hunter2");
    expect(existsSync(file("head.json.new"))).toBe(false);
  });
});
