import { existsSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { expect, it } from "vitest";
import { newTask } from "../support/builders.js";
import { type CliHost, type Ended, holdfast } from "../support/cli.js";
import { cliOnRedis } from "../support/cli-on-redis.js";
import { die } from "../support/dead.js";
import { describeRedis } from "../support/redis-server.js";

describeRedis("what people get wrong with dead letters, monitor and audit", () => {
  let url: string;
  let host: CliHost;
  let folder: string;
  cliOnRedis((site) => ({ url, host, folder } = site));
  const file = (name: string, text: string | Uint8Array): string => {
    writeFileSync(join(folder, name), text);
    return join(folder, name);
  };

  const run = (words: string, ...more: string[]): Promise<Ended> => host.run(...words.split(" "), ...more);

  const dead = async (queue: string, ids: readonly string[]) =>
    die(
      url,
      ids.map((id) => newTask({ id, queue, type: "mail", payload: Buffer.from('{"to":"ann"}') })),
    );

  /** The exit code, and what was said: a line, and no stack. */
  async function told(words: string, ...more: string[]): Promise<string> {
    const { status, stderr } = await run(words, ...more);
    return `${status}: ${stderr}`;
  }

  it("says in a line what is wrong with a file", async () => {
    await dead("files", ["f"]);
    const torn = file("torn.gz", Buffer.from("1f8b0800000000000003ffffffffff", "hex"));
    const key = join(folder, "key.pem");
    expect(await run(`audit keygen ${key}`)).toMatchObject({ status: 0 });
    const nowhere = join(folder, "nowhere/head.json");

    expect(await told(`dlq import ${folder}`)).toMatch(/^2: .*file: .* is a directory: name one of its files.*\n$/);
    expect(await told(`dlq import ${torn}`)).toMatch(/^5: .*it cannot be unpacked: .* \[SPILL_FAILED\].*\n$/);
    expect(await told(`dlq export --where queue:files --out ${folder}`)).toMatch(/^2: .*--out: is a directory.*\n$/);
    expect(await told(`audit seal --key-file ${key} --head ${nowhere}`)).toMatch(
      /^2: .*--head: cannot be written.*\n$/,
    );
    expect(await told(`audit seal --key-file ${key} --head ${folder}`)).toMatch(/^2: .*--head: cannot be read.*\n$/);
    expect(await told(`audit export --to ${folder}`)).toMatch(/^2: .*--to: cannot be read.*\n$/);
    expect(await told(`monitor --audit-key-file ${nowhere}`)).toMatch(/^2: .*--audit-key-file: cannot be read.*\n$/);
  });

  it("says in a line why a handler's module cannot be used", async () => {
    await dead("modules", ["m"]);
    const replay = "dlq replay --local m";
    const throws = file("throws.mjs", 'throw new Error("no database")');

    expect(await told(replay, throws)).toMatch(
      /^2: .*cannot be loaded: Error: no database \(at file:.*throws\.mjs:1:7\).*\n$/,
    );
    expect(await told(replay, file("broken.mjs", "export default ("))).toMatch(
      /^2: .*cannot be loaded: SyntaxError.*\n$/,
    );
    expect(await told(replay, file("lacks.mjs", 'import "./nowhere.mjs"'))).toMatch(
      /^2: .*cannot be loaded: Error: Cannot find.*\n$/,
    );
    expect(await told(replay, file("exportless.mjs", ""))).toMatch(/^2: .*must export a function.*\n$/);
    expect(await told(replay, join(folder, "nowhere.mjs"))).toMatch(/^2: .*there is no file.*\n$/);
    expect(await told(replay, folder)).toMatch(/^2: .*there is no file.*\n$/);
    expect(await told("dlq edit m --set 1 --yes --definition", folder)).toMatch(
      /^2: .*--definition: there is no file.*\n$/,
    );
  });

  it("says in a line that the monitor's port is taken", async () => {
    const other = createServer().listen(0, "127.0.0.1");
    await new Promise((resolve) => other.once("listening", resolve));
    const { port } = other.address() as { port: number };

    expect(await told(`monitor --port ${port}`)).toMatch(/^2: .*--port: is in use: .*EADDRINUSE.*\n$/);

    await new Promise((resolve) => other.close(resolve));
  });

  it("makes both halves of a key, or none", async () => {
    const key = join(folder, "half.pem");
    mkdirSync(`${key}.pub`);

    expect(await told(`audit keygen ${key}`)).toMatch(/^2: .*FILE: cannot be written: EEXIST.*\n$/);
    expect(existsSync(key)).toBe(false);
    rmSync(`${key}.pub`, { recursive: true });
    expect(await run(`audit keygen ${key}`)).toMatchObject({ status: 0 });
    expect(await told(`audit keygen ${key}`)).toMatch(/^2: .*FILE: cannot be written: EEXIST.*\n$/);
  });

  it("imports from standard input lines that hold U+2028", async () => {
    await dead("lines", ["l"]);
    const { stdout } = await run("dlq export lines l");
    const line = stdout.replace('"mail"', '"ma\u2028il\u2029"');
    await run("task delete lines l --yes");

    const { status, stdout: answer } = await holdfast(["dlq", "import", "-", "--url", url], {
      input: `\n${line}nonsense\n`,
    });

    expect(answer).toContain("1 dead letter put back\n1 line is no dead letter:\n  line 3: it is no JSON");
    expect(status).toBe(4);
  });

  it("shows what a handler says and answers, also what is no JSON", async () => {
    await dead("replayed", ["r"]);
    const handler = file(
      "big.mjs",
      'export default (_, task) => { task.log("on \\u001b[31m it"); return { cents: 12345678901234567890n } }',
    );

    const { stdout, stderr } = await run("dlq replay --local r", handler);
    expect(stderr).toContain("log       on \\u{1b}[31m it\n");
    expect(stdout).toContain("{ cents: 12345678901234567890n }");
    const { stdout: json } = await run("dlq replay --local r --json", handler);
    expect(JSON.parse(json)).toMatchObject({ status: "completed", result: "{ cents: 12345678901234567890n }" });
  });

  it("ends every command about dead letters by one table of exit codes", async () => {
    await dead("codes", ["x", "y", "z"]);
    expect(await run("dlq quarantine add codes y")).toMatchObject({ status: 0 });
    const spilled = join(folder, "spilled");
    const calls: readonly (readonly [number, string])[] = [
      [3, "dlq run codes x nobody"],
      [3, "dlq run codes nobody nobody2"],
      [4, "dlq run codes y x"],
      [4, "dlq run --where is:quarantined --yes"],
      [0, "dlq run --where queue:nowhere --yes"],
      [3, "dlq ack codes z nobody"],
      [0, "dlq ack --where queue:nowhere"],
      [3, "dlq export codes z nobody"],
      [4, "dlq export codes z x"],
      [3, `dlq spill codes nobody --to ${spilled}`],
      [0, "dlq restore codes --all"],
      [0, "dlq trash purge codes --all --yes"],
      [4, "dlq quarantine run codes z --yes"],
      [3, "dlq quarantine run codes nobody --yes"],
      [3, "dlq rules show nobody"],
      [3, "dlq rules disable nobody"],
      [3, "dlq rules rm nobody"],
      [3, "dlq policy rm nobody"],
      [3, "dlq redrive status nobody"],
      [3, "dlq show nobody"],
    ];
    for (const [status, words] of calls) {
      const ended = await run(words);
      expect({ words, ...ended }).toMatchObject({ words, status });
    }
    expect((await run("dlq show nobody")).stderr).toContain("no task nobody in any queue");
    expect((await run("dlq trash purge codes --all --yes")).stderr).toBe("The trash is empty.\n");
  });

  it("takes only whole times, and asks before a copy in either form", async () => {
    await dead("careful", ["c"]);

    expect(await told("dlq run careful c --at 5")).toMatch(/^2: .*--at: must be a time with its zone.*\n$/);
    expect(await told("dlq edit c --set 1 --json")).toMatch(/^2: .*--yes: is needed.*\n$/);
    const { stdout } = await run("dlq edit c --set 1 --dry-run --json");
    expect(JSON.parse(stdout)).toMatchObject({ of: { queue: "careful", id: "c" } });
    expect(JSON.parse((await run("dlq show careful c --json")).stdout)[0].copies).toEqual([]);
  });
});
