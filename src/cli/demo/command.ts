import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import ansis from "ansis";
import { Command } from "commander";
import { count } from "../../core/counting.js";
import { untilSignal } from "../../core/loop.js";
import { calledAs } from "../env.js";
import { calledOffExitCode, storageExitCode } from "../exit-codes.js";
import { packageRoot } from "../package-root.js";
import { columns, endOf, wrapped } from "../terminal.js";
import type { OutageReport } from "./outage-act.js";
import { progressFor } from "./progress.js";
import { printedReport } from "./tables.js";

const help = `
What happens: each file becomes a task in one of three queues, small files
first. A worker runs them, ten at a time, and keeps what it found as the
task's result. The five largest files are enqueued twice; the second task is
refused as a duplicate. Three reports are asked for before they exist: their
tasks fail and are retried each second, until delayed tasks have written them.
Some bad files, which come with the package, cannot be indexed: their tasks
end as dead letters, with the reason. Then they are shown by cause, one is
edited and run again as a copy, and the files of a cause are mended and its
dead letters run again, by a redrive.

Then, where there is a redis-server and no --url: an outage. Tasks are enqueued
and run on a Redis of their own, which is killed with -9 in their midst and
started again. The last line counts what was accepted, lost and run twice.

Left out are .git, node_modules, dist, coverage and .cache.

Storage:
  file:./tasks.db            the embedded engine, on a file that stays
  memory:                    the embedded engine, in memory
  redis://localhost:6379     Redis 6.2 or newer; the queues are demo-critical,
                             demo-default and demo-low

Examples:
  holdfast demo
  holdfast demo ~/photos
  holdfast demo . --url redis://localhost:6379/3
  holdfast demo --json | jq '.deadLetters'
  npm run -s demo -- --json    in a clone: -s keeps npm's own lines out

Exit codes: 0 the work was done, dead letters or not; 2 a wrong argument;
5 storage cannot be used, or lost tasks; 130 called off.`;

interface Flags {
  readonly url?: string;
  readonly json?: true;
}

export function demoCommand(): Command {
  return new Command("demo")
    .summary("index the files of a directory, one task per file")
    .description("Index the files of a directory, one task per file: digest, size, lines and compression ratio.")
    .argument("[DIR]", "the directory; Holdfast's own files unless given")
    .option("--url <URL>", "which storage; the embedded engine on a temporary file unless given")
    .option("--json", "print what was done as JSON, each file with its numbers")
    .addHelpText("after", help)
    .action(demo);
}

async function demo(given: string | undefined, flags: Flags): Promise<void> {
  const directory = resolve(given ?? ownFiles());
  const badFiles = join(packageRoot, "examples/bad-files");
  const silent = flags.json === true;
  const { runDemo } = await import("./demo.js"); // With all of the library.
  const report = await runDemo({
    directory,
    // They are indexed from a copy, together with those that cannot be shipped.
    without: directory === packageRoot ? ["examples/bad-files"] : [],
    badFiles,
    url: flags.url,
    progress: progressFor(process.stdout, silent),
    onPlanned: ({ files, storage }) => {
      if (!silent) console.log(announcement(files, directory, storage));
    },
  });
  if (report === undefined) {
    process.exitCode = calledOffExitCode;
    console.error("holdfast: called off: what had not ended was left where it was.");
    return;
  }
  if (!silent) console.log(printedReport(report, calledAs()));
  const outage = flags.url === undefined ? await outageOf(silent) : null;
  if (outage === undefined) process.exitCode = calledOffExitCode;
  else if (report.lostTasks > 0 || (outage?.lost.length ?? 0) > 0) process.exitCode = storageExitCode;
  if (silent) console.log(JSON.stringify({ ...report, outage: outage ?? null }, undefined, 2));
}

/** Null where there is no redis-server; undefined when it was called off. */
async function outageOf(silent: boolean): Promise<OutageReport | null | undefined> {
  const [{ redisFound }, { outageAct, outcomeLines }] = await Promise.all([
    import("./private-redis.js"),
    import("./outage-act.js"),
  ]);
  if (!redisFound()) {
    if (!silent)
      console.log("\nWith a redis-server there would be an outage to see: it is not on this machine's PATH.");
    return null;
  }
  if (!silent) console.log(`\n${ansis.bold("An outage")}`);
  const say = (line: string) => {
    if (!silent) console.log(wrapped(line, "  ", "    ").join("\n"));
  };
  const calledOff = new AbortController();
  const ended = new AbortController();
  void untilSignal(undefined, ended.signal).then((signal) => signal && calledOff.abort());
  const folder = await mkdtemp(join(tmpdir(), "holdfast-outage-"));
  try {
    const report = await outageAct(folder, say, calledOff.signal);
    if (report !== undefined) outcomeLines(report).forEach((line) => say(line));
    return report;
  } finally {
    ended.abort();
    await rm(folder, { recursive: true, force: true, maxRetries: 3 });
  }
}

/** The repository; of an installed package, what there is of it. */
function ownFiles(): string {
  return existsSync(join(packageRoot, "src")) ? packageRoot : join(packageRoot, "dist");
}

function announcement(files: number, directory: string, storage: string): string {
  const where = endOf(directory, Math.max(20, columns() - 40));
  return wrapped(`Indexing ${count(files)} files of ${where}; tasks are kept in ${storage}`).join("\n");
}
