import { execFileSync, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { stripVTControlCharacters } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Client, Inspector, connect, defineTask } from "../../src/index.js";
import { DeadLetters } from "../../src/deadletter/index.js";
import { newTask } from "../support/builders.js";
import { holdfast, program } from "../support/cli.js";
import { die } from "../support/dead.js";
import { until } from "../support/until.js";

const folder = mkdtempSync(join(tmpdir(), "holdfast-terminal-"));
const url = `file:${join(folder, "tasks.db")}`;
const env = {
  ...process.env,
  HOLDFAST_URL: url,
  TERM: "xterm-256color",
  PATH: `${folder}${delimiter}${process.env["PATH"]}`,
};
for (const name of ["NO_COLOR", "FORCE_COLOR", "CI"]) delete (env as NodeJS.ProcessEnv)[name];

/** util-linux's script gives a program a terminal of its own: skipped, and said so, where there is none; in CI that is a failure. */
const hasTerminals = spawnSync("script", ["--version"]).status === 0;
if (!hasTerminals && process.env["CI"] === "true")
  throw new Error("there is no script of util-linux, and CI must have one");
const terminalSuite: (name: string, body: () => void) => void = hasTerminals ? describe : describe.skip;
function describeTerminal(name: string, body: () => void): void {
  if (!hasTerminals) process.stderr.write(`SKIPPED, for there is no script of util-linux: ${name}\n`);
  terminalSuite(name, body);
}

function onTerminal(command: string, columns = 80) {
  const child = spawn("script", ["-qec", `stty cols ${columns} rows 24; exec holdfast ${command}`, "/dev/null"], {
    env,
  });
  let output = "";
  child.stdout.on("data", (chunk: Buffer) => (output += chunk.toString()));
  return {
    get output() {
      return output;
    },
    /** What was printed, as lines without their colours. */
    get lines() {
      return stripVTControlCharacters(output).split(/\r?\n/);
    },
    type: (keys: string) => child.stdin.write(keys),
    async ended(): Promise<number> {
      const [status] = await once(child, "close");
      return status;
    },
  };
}

async function put(queue: string, ids: readonly string[], payload: unknown = { n: 1 }): Promise<void> {
  await using broker = connect(url);
  const task = defineTask<unknown>("email:welcome", { queue });
  await new Client(broker).enqueueAll(ids.map((id) => task(payload, { id })));
}

beforeAll(() => symlinkSync(program, join(folder, "holdfast")));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describeTerminal("holdfast on a terminal", () => {
  it("fits tables, in colours, and keeps payloads from steering it", async () => {
    await put("wide", ["01a200c7-7172-7000-b243-eaf0f39efe21"], { text: `${"long ".repeat(40)}\u009b2J\u202e` });

    const list = onTerminal("task ls wide");
    const listed = await list.ended();
    const payload = onTerminal("task payload wide 01a200c7-7172-7000-b243-eaf0f39efe21");
    await payload.ended();

    expect(listed).toBe(0);
    expect(list.output).toContain("\u001b[2m"); // The head of the table is dim.
    expect(list.lines.filter((line) => line.length > 80)).toEqual([]);
    expect(list.lines.join("\n")).toMatch(/email:welcome {2}\{"text":"long long .*…/);
    expect(payload.output).not.toMatch(/[\u009b\u202e]/);
    expect(payload.lines.join("\n")).toContain(String.raw`\u{9b}2J\u{202e}`);
  });

  it.each([
    ["asked\r", 0, "2 tasks deleted", 0],
    ["y\r", 130, "nothing was done", 2],
    ["\u0003", 130, "nothing was done", 2],
  ])("asks before it deletes all of a state: %j", async (keys, status, says, left) => {
    await put("asked", ["a1", "a2"]);
    const asked = onTerminal("task delete asked -s pending");
    await until("it asks", () => asked.output.includes("Type asked to go on:"), 20_000);
    asked.type(keys);

    expect(await asked.ended()).toBe(status);
    expect(asked.lines.join("\n")).toContain(says);
    await using broker = connect(url);
    const queue = (await broker.queues(broker.clock.nowMs())).find(({ name }) => name === "asked");
    expect(queue?.counts.pending).toBe(left);
  });

  it("redraws what it watches in place, until q", async () => {
    await put("watched", ["w1"]);
    const watching = onTerminal("stats --watch 200ms");
    await until("it has drawn twice", () => watching.output.split("q quits").length > 2, 20_000);
    watching.type("q");

    expect(await watching.ended()).toBe(0);
    // Up by as many lines as were drawn, and the cursor is hidden meanwhile.
    const lines = watching.output.slice(0, watching.output.indexOf("q quits")).split("\n").length;
    expect(watching.output).toContain(`\u001b[${lines}A`);
    expect(watching.output.indexOf("\u001b[?25l")).toBeLessThan(watching.output.indexOf("QUEUE"));
    expect(watching.output.trimEnd().endsWith("\u001b[?25h")).toBe(true);
  });

  it("fits dead letters; Ctrl-C lets go of a redrive, which goes on, and says how to stop it", async () => {
    const ids = Array.from({ length: 20 }, (_, n) => `01a200c7-7172-7000-b243-eaf0f39e${1_000 + n}`);
    const message = `connect ETIMEDOUT ${"10.0.0.1 ".repeat(30)}`;
    await die(
      url,
      ids.map((id) => newTask({ id, queue: "billing-of-the-north", type: "invoice:charge" })),
      { message },
    );

    // A line of progress is drawn over.
    const wide = ({ lines }: { readonly lines: readonly string[] }) =>
      lines.map((line) => line.split("\r").at(-1)!).filter((line) => line.length > 80);
    const commands = ["ls", "groups", `show ${ids[0]}`, "search err~ETIMEDOUT"].map((one) => onTerminal(`dlq ${one}`));
    expect(await Promise.all(commands.map(async (one) => one.ended()))).toEqual([0, 0, 0, 0]);
    expect(commands.flatMap(wide)).toEqual([]);
    const redrive = onTerminal(
      "dlq redrive start --where queue:billing-of-the-north --rate 1 --ramp 0s --canary 0 --yes",
    );
    await until("it moves some", () => /\(Ctrl-C lets go\) moving: \d+ left, [1-9]/.test(redrive.output), 20_000);
    redrive.type("\u0003");
    await redrive.ended();

    const [, id] = /holdfast dlq redrive cancel (\S+)/.exec(redrive.lines.join("\n")) ?? [];
    expect(wide(redrive)).toEqual([]);
    await using broker = connect(url);
    expect(await new DeadLetters(broker).redrives.get(id!)).toMatchObject({ status: "running", isDriven: false });
    await new DeadLetters(broker).redrives.cancel(id!);
  });

  it("shows how far a bulk act is; Ctrl-C stops it between two batches, and it goes on", async () => {
    const ids = Array.from({ length: 20_000 }, (_, n) => `t${n}`);
    await put("bulk", ids);
    const archiving = onTerminal("task archive bulk -s pending --yes --reason 'stop all'");
    await until("some batches are done", () => / of 20,000 looked at/.test(archiving.output), 20_000);
    archiving.type("\u0003");
    const status = await archiving.ended();
    const moved = Number(/([\d,]+) tasks archived/.exec(archiving.output)?.[1]?.replaceAll(",", ""));
    await using broker = connect(url);
    const { counts } = await new Inspector(broker).queue("bulk");

    expect(status).toBe(130);
    expect(archiving.output).toContain("called off: the rest is untouched");
    expect(moved % 500).toBe(0);
    expect(counts).toMatchObject({ archived: moved, pending: 20_000 - moved });
    const rest = await holdfast(["task", "archive", "bulk", "-s", "pending", "--yes"], { env: { HOLDFAST_URL: url } });
    expect(rest.stdout.replaceAll(",", "")).toBe(`${20_000 - moved} tasks archived\n`);
  });
});

const shellThere = (name: string) => spawnSync(name, ["--version"]).status === 0;

describe("completion", () => {
  const bash = (script: string) =>
    execFileSync("bash", ["--norc", "-c", script], { env, encoding: "utf8", stdio: "pipe" });

  it.each(["bash", "zsh", "fish"])("has a script that %s can read", async (shell) => {
    const { status, stdout } = await holdfast(["completion", shell]);
    const file = join(folder, `completion.${shell}`);
    writeFileSync(file, stdout);

    expect(status).toBe(0);
    expect(stdout).toContain("completion --line");
    if (shellThere(shell)) expect(spawnSync(shell, ["-n", file])).toMatchObject({ status: 0 });
  });

  it.each([
    ["holdfast qu", ["queue"]],
    ["holdfast task ls mail --state a", ["active", "archived", "aggregating"]],
    ["holdfast queue show mail:", ["eu", "us"]],
    ["holdfast queue show mail:e", ["eu"]],
    ["holdfast stats --w", ["--watch"]],
    ["holdfast queue show nope", []],
  ])("answers bash: %s", async (line, answers) => {
    await put("mail:eu", ["1"]);
    await put("mail:us", ["1"]);
    const words = line.split(" ").slice(1);

    const replies = bash(`
      source <(holdfast completion bash)
      compopt() { :; } # It works while TAB is being served only.
      COMP_LINE=${JSON.stringify(line)} COMP_POINT=${line.length} COMP_WORDS=(holdfast ${words.join(" ")})
      _holdfast
      printf '%s\\n' "\${COMPREPLY[@]}"`);

    expect(replies.split("\n").filter((reply) => reply !== "")).toEqual(answers);
  });

  describeTerminal("while somebody types", () => {
    it("completes at TAB in bash", async () => {
      const child = spawn("script", ["-qec", "bash --norc", "/dev/null"], { env: { ...env, PS1: "$ " } });
      let output = "";
      child.stdout.on("data", (chunk: Buffer) => (output += chunk.toString()));
      child.stdin.write("source <(holdfast completion bash); echo rea''dy\n");
      await until("completion is there", () => output.includes("ready"), 20_000);
      child.stdin.write("holdfast comp\tba\t");
      await until("both words are completed", () => output.includes("holdfast completion bash "), 20_000);
      child.stdin.write("\u0015exit\n"); // Ctrl-U: a Ctrl-C would take what follows it along.
      await once(child, "close");

      expect(output).toContain("holdfast completion bash ");
    });
  });
});
