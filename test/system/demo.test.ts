import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import {
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { once } from "node:events";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { DemoReport } from "../../src/cli/demo/demo-report.js";
import type { OutageReport } from "../../src/cli/demo/outage-act.js";
import { connect } from "../../src/index.js";
import { RedisServer, describeRedis } from "../support/redis-server.js";

const root = join(import.meta.dirname, "../..");
const program = join(root, "dist/cli/main.js");

interface Ended {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

function demo(args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<Ended> {
  // Continuous integration is taken for a terminal that knows colours.
  const { NO_COLOR: _no, FORCE_COLOR: _force, CI: _ci, ...plain } = process.env;
  const child = spawn(process.execPath, [program, "demo", ...args], {
    env: { ...plain, ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const ended = Promise.all([text(child.stdout), text(child.stderr), once(child, "close")]);
  return ended.then(([stdout, stderr]) => ({ status: child.exitCode, stdout, stderr }));
}

async function report(args: readonly string[]): Promise<DemoReport> {
  const { status, stdout, stderr } = await demo([...args, "--json"]);
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  return JSON.parse(stdout);
}

/** What the demo says of each file of the directory, without what it made itself. */
function indexed({ files }: DemoReport) {
  const own = files.filter(({ path }) => !path.startsWith("reports/"));
  return own
    .map(({ path, sha256, bytes, lines, gzipBytes }) => ({ path, sha256, bytes, lines, gzipBytes }))
    .toSorted(byPath);
}
const byPath = (a: { path: string }, b: { path: string }) => (a.path < b.path ? -1 : 1);

function expected(directory: string, path: string) {
  const content = readFileSync(join(directory, path));
  return {
    path,
    sha256: createHash("sha256").update(content).digest("hex"),
    bytes: content.length,
    lines: content.toString("latin1").split("\n").length - 1,
    gzipBytes: gzipSync(content).length,
  };
}

const causes = ({ deadLetters }: DemoReport) =>
  deadLetters.map(({ path, reason, message, attempts }) => [path, reason, message, attempts]).toSorted(byName);

const byName = ([a]: readonly unknown[], [b]: readonly unknown[]) => (String(a) < String(b) ? -1 : 1);

const badFiles = [
  ["bad-files/camera-footage.raw", "skip_retry", "larger than the limit of 16 MiB", 1],
  ["bad-files/customers-latin1.csv", "skip_retry", "a .csv file that is not valid UTF-8", 1],
  ["bad-files/latest-backup.txt", "retries_exhausted", "the file is not there (ENOENT)", 3],
  ["bad-files/order-cut-off.json", "skip_retry", "a .json file that is not valid JSON", 1],
  ["bad-files/prices-unquoted.json", "skip_retry", "a .json file that is not valid JSON", 1],
];

// At the same time: each run waits some seconds for its retries.
describe.concurrent("holdfast demo", () => {
  const escape = "\u001b[31m\u202e";
  let directory: string;
  const good = [
    "big/photo.bin",
    "big/table.csv",
    "docs/ünï/読む.md",
    "empty.txt",
    "link-to-code.ts",
    "src/code.ts",
    "src/middle.js",
    "tsconfig.json",
  ];
  const bad = [
    ["gone.txt", "retries_exhausted", "the file is not there (ENOENT)", 3],
    [`red${escape}.json`, "skip_retry", "a .json file that is not valid JSON", 1],
  ];

  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), "holdfast-demo-test-"));
    const write = (path: string, content: string | Buffer) => {
      mkdirSync(join(directory, path, ".."), { recursive: true });
      writeFileSync(join(directory, path), content);
    };
    write("big/photo.bin", "");
    truncateSync(join(directory, "big/photo.bin"), 300_000);
    write("big/table.csv", "a,b,c\n".repeat(20_000));
    write("docs/ünï/読む.md", "# Grüße\r\nüber zwei\n");
    write("empty.txt", "");
    write("src/middle.js", "middle();\n".repeat(1_000));
    write("src/code.ts", "export const x = 1;\n");
    write("tsconfig.json", '{ // comments, "quotes" and a last comma\n "a": "//", /* x */ "b": [1, 2,],\n}\n');
    write(`red${escape}.json`, "{ no");
    for (const left of [".git", "node_modules/a", "src/dist", "coverage", ".cache"]) write(`${left}/x.txt`, "left out");
    symlinkSync("src/code.ts", join(directory, "link-to-code.ts"));
    symlinkSync("src", join(directory, "link-to-folder"));
    symlinkSync("nowhere", join(directory, "gone.txt"));
  });

  afterAll(() => rmSync(directory, { recursive: true, force: true }));

  it.each([
    ["memory", () => "memory:"],
    ["file", () => `file:${join(directory, ".cache", "demo.db")}`],
  ])("counts what is in a directory, and what cannot be read there (%s)", async (_name, url) => {
    const done = await report([directory, "--url", url()]);

    expect(indexed(done)).toEqual(good.map((path) => expected(directory, path)).toSorted(byPath));
    expect(causes(done)).toEqual([...badFiles, ...bad].toSorted(byName));
    expect(done.duplicatesRefused).toBe(5);
  });

  describeRedis("on Redis", () => {
    it("does the same work, also when an earlier run left its dead letters there", async () => {
      await using server = await RedisServer.start();

      const first = await report([directory, "--url", server.url]);
      const second = await report([directory, "--url", server.url]);

      expect(indexed(first)).toEqual(good.map((path) => expected(directory, path)).toSorted(byPath));
      expect(indexed(second)).toEqual(indexed(first));
      expect(causes(first)).toEqual([...badFiles, ...bad].toSorted(byName));
      expect(causes(second)).toEqual(causes(first));
      expect(await server.admin.smembers("asynq:queues")).toHaveLength(3);
    });
  });

  it("adds up: queues, files, retries and dead letters are the same work", async () => {
    const done = await report([directory, "--url", `file:${join(directory, ".cache", "adds-up.db")}`]);
    const sum = (pick: (queue: DemoReport["queues"][number]) => number) =>
      done.queues.reduce((n, queue) => n + pick(queue), 0);
    const reports = done.files.filter(({ path }) => path.startsWith("reports/"));
    const all = [...done.files, ...done.deadLetters];

    expect(reports.map(({ path }) => path).toSorted()).toEqual(
      ["folder", "kind", "size"].map((kind) => `reports/files-by-${kind}.csv`),
    );
    expect(reports.every(({ attempts }) => attempts > 1)).toBe(true);
    expect([done.delayedTasks, done.lostTasks]).toEqual([3, 0]);
    expect(sum(({ tasks }) => tasks)).toBe(done.tasks);
    expect(done.tasks).toBe(all.length + done.delayedTasks);
    expect(sum(({ completed }) => completed)).toBe(done.files.length + done.delayedTasks);
    expect(sum(({ deadLetters }) => deadLetters)).toBe(done.deadLetters.length);
    expect(sum(({ retries }) => retries)).toBe(all.reduce((n, { attempts }) => n + attempts - 1, 0));
    for (const queue of done.queues) {
      const files = done.files.filter((file) => file.queue === queue.name);
      expect(queue.bytes).toBe(files.reduce((n, { bytes }) => n + bytes, 0));
      expect(queue.lines).toBe(files.reduce((n, { lines }) => n + lines, 0));
    }
  });

  it("indexes its own files when no directory is given", async () => {
    const leftOut = /(^|\/)(\.cache|\.git|coverage|dist|node_modules)(\/|$)|^examples\/bad-files\//;
    const own = readdirSync(root, { recursive: true, withFileTypes: true, encoding: "utf8" })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name).slice(root.length + 1))
      .filter((path) => !leftOut.test(path));

    const done = await report(["--url", "memory:"]);

    expect(indexed(done)).toEqual(own.map((path) => expected(root, path)).toSorted(byPath));
    expect(causes(done)).toEqual(badFiles);
  });

  describeRedis("with a redis-server", () => {
    it("ends with an outage, and what it says of that adds up", async () => {
      const done = JSON.parse((await demo([directory, "--json"])).stdout) as { outage: OutageReport };
      const { accepted, spooled, breaker, lost, ranTwice, runs } = done.outage;
      const idsThat = (isSo: (times: number) => boolean) => Object.keys(runs).filter((id) => isSo(runs[id]!));

      expect(Object.keys(runs)).toHaveLength(accepted);
      expect([accepted, lost]).toEqual([400, idsThat((times) => times === 0)]);
      expect(ranTwice.map(({ id }) => id)).toEqual(idsThat((times) => times > 1));
      expect([lost, ranTwice]).toEqual([[], []]);
      expect(spooled).toBeGreaterThan(0);
      expect(breaker).toContain("open");
      expect(breaker.at(-1)).toBe("closed");
    });

    it("tells people of the outage step by step, and the sum in the last line", async () => {
      const { status, stdout } = await demo([directory]);

      expect(status).toBe(0);
      expect(stdout).toMatch(/\nAn outage\n(?:  .*\n)+  accepted 400, lost 0, run twice 0\n$/);
      expect(stdout).toMatch(/^  kill -9, .*\n  breaker open: .*\n  \d+ tasks were accepted meanwhile/m);
    });
  });

  it("shows its dead letters by cause, mends a payload and a cause, and what it says of that adds up", async () => {
    const url = `file:${join(directory, ".cache", "afterwards.db")}`;
    const { deadLetters, afterwards } = await report([directory, "--url", url]);
    const { groups, edited, healed } = afterwards!;
    const messages = new Set(deadLetters.map(({ message }) => message));

    expect(groups.map(({ message }) => message).toSorted()).toEqual([...messages].toSorted());
    for (const { count, message } of groups)
      expect(count).toBe(deadLetters.filter((letter) => letter.message === message).length);
    expect(edited).toMatchObject({ path: "bad-files/latest-backup.txt", became: "completed" });
    expect(healed).toMatchObject({ redriven: 2, succeeded: 2 });

    await using broker = connect(url);
    const archived = await broker.list({ queue: "demo-critical", state: "archived" }, { limit: 100 });
    const ids = new Set(archived.items.map(({ id }) => id));
    const left = deadLetters.filter(({ id, queue }) => queue === "demo-critical" && ids.has(id));
    const gone = deadLetters.filter(({ id, queue }) => queue === "demo-critical" && !ids.has(id));
    expect(gone.map(({ path }) => path).toSorted()).toEqual([
      "bad-files/order-cut-off.json",
      "bad-files/prices-unquoted.json",
    ]);
    expect(left.map(({ path }) => path)).toContain("bad-files/latest-backup.txt");
  });

  it("counts a task for each file beside its own, and tells times in whole milliseconds", async () => {
    const done = await report([directory, "--url", "memory:"]);
    const times = [done.enqueueMs, done.workMs, done.first90PercentMs];

    expect(done.filesFound).toBe(good.length + bad.length);
    expect(done.tasks).toBe(done.filesFound + badFiles.length + 2 * done.delayedTasks);
    expect(times).toEqual(times.map((ms) => Math.round(ms)));
  });

  it("prints for people: a line a sentence where there is no terminal, and no file's name steers one", async () => {
    const { status, stdout } = await demo([directory], { PATH: "/nowhere" });

    expect(status).toBe(0);
    expect(stdout).toMatch(/\nWith a redis-server there would be an outage to see: .*\n$/);
    expect(stdout).toContain("red\\u{1b}[31m\\u{202e}.json");
    expect(stdout).not.toMatch(/[\p{Cf}]|(?!\n)\p{Cc}/u);
    expect(stdout).toContain("100%:");
    expect(stdout).toContain("  2 × the file is not there (ENOENT) [retries_exhausted after 3 attempts]\n");
    expect(stdout).toMatch(/\n14 of 21 tasks completed, 7 dead letters, in \d+\.\d\d s\.\n/);
    expect(stdout).toMatch(/^A task for each of 10 files, .*\.$/m);
  });

  it("uses colours where they are wanted, and does without where they are not", async () => {
    const coloured = await demo([directory, "--url", "memory:"], { FORCE_COLOR: "1" });
    const plain = await demo([directory, "--url", "memory:"], { NO_COLOR: "1" });

    expect(coloured.stdout).toContain("\u001b[");
    expect(plain.stdout).not.toContain("\u001b");
  });

  it.each([
    ["an unknown folder", ["/no/such/folder"], 2, 'got "/no/such/folder" (ENOENT) [OPTION_INVALID]'],
    ["a file in place of a folder", [program], 2, "main.js"],
    ["an unknown scheme", ["--url", "gopher://localhost"], 2, "OPTION_INVALID"],
    ["a Redis that is not there", ["--url", "redis://127.0.0.1:1"], 5, "BROKER_UNAVAILABLE"],
    ["an unknown flag", ["--fast"], 2, "unknown option"],
  ])("says what is wrong with %s in a sentence, and ends with the code for it", async (_name, args, code, says) => {
    const { status, stderr } = await demo(args);

    expect(status).toBe(code);
    expect(stderr).toMatch(/^holdfast: /);
    expect(stderr).toContain(says);
    expect(stderr).not.toMatch(/\n\s+at /);
  });

  it("says that a folder has no files, instead of figures of nothing", async () => {
    const empty = join(directory, ".cache", "empty");
    mkdirSync(join(empty, "node_modules"), { recursive: true });
    writeFileSync(join(empty, "node_modules", "x.js"), "");

    const { status, stdout, stderr } = await demo([empty]);

    expect({ status, stdout }).toEqual({ status: 2, stdout: "" });
    expect(stderr).toContain(`holdfast: DIR: no files found in "${empty}"`);
  });

  it("teaches with --help", async () => {
    const { status, stdout } = await demo(["--help"]);

    expect(status).toBe(0);
    expect(stdout).toContain("Examples:");
    expect(stdout.split("\n").filter((line) => line.length > 80)).toEqual([]);
  });
});
