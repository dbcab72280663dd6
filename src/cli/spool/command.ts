import { Command } from "commander";
import { systemClock } from "../../core/clock.js";
import { count } from "../../core/counting.js";
import { invalidOption } from "../../core/errors.js";
import { printable } from "../../core/printable.js";
import type { Spools } from "../../embedded/spool/open-spools.js";
import { thisProcess } from "../../inspector/options.js";
import { confirmed } from "../confirm.js";
import { storageUrl } from "../env.js";
import { type ActFlags, teaching, wholeNumber, withActing } from "../flags.js";
import { keyFileOption, keyOf } from "../key-file.js";
import { note, print, printJson } from "../output.js";
import { untilStopped } from "../stopping.js";
import { drained } from "./drain.js";
import { partJson, partLines, taskLines, taskJson } from "./view.js";

interface SpoolFlags {
  readonly json?: true;
  readonly keyFile?: string;
}

export function spoolCommand(): Command {
  return new Command("spool")
    .summary("look at what waits on this machine, and empty it")
    .description("Look at tasks that wait on this machine until Redis has them for good, and bring them there.")
    .addCommand(lsCommand())
    .addCommand(showCommand())
    .addCommand(drainCommand())
    .addCommand(rmCommand());
}

function lsCommand(): Command {
  const command = new Command("ls")
    .summary("what each process has in a spool's directory")
    .description("What each process has in a spool's directory: those that run, and those that died.")
    .argument("<DIRECTORY>", "the spool's directory");
  return teaching(
    withSpool(command),
    ["holdfast spool ls /var/lib/shop/spool", "holdfast spool ls ./spool --json | jq 'map(.tasks) | add'"],
    "What died is taken over by any process that uses the directory, within 30 seconds; or see `spool drain`.",
  ).action(async (directory: string, flags: SpoolFlags) => {
    const spools = await opened(directory, flags);
    const parts = spools.list();
    if (flags.json === true) await printJson(parts.map(partJson));
    else if (parts.length === 0) note("Nothing is spooled, and no process uses it.");
    else await print(...partLines(parts, systemClock.nowMs()));
  });
}

function showCommand(): Command {
  const command = new Command("show")
    .summary("the tasks of one of them, the first accepted first")
    .description("The tasks of one process's part, in the order they were accepted; parked ones with their problem.")
    .argument("<DIRECTORY>", "the spool's directory")
    .argument("<NAME>", "as `spool ls` has it")
    .option("--limit <N>", "so many at the most (100)", wholeNumber("--limit", 1, 100_000))
    .option("--after <SEQUENCE>", "those behind that one", wholeNumber("--after", 0, Number.MAX_SAFE_INTEGER))
    .option("--payload", "with --json: payloads, too");
  return teaching(withSpool(command), [
    "holdfast spool show ./spool p-3f2a7c51-4711-9d0b",
    "holdfast spool show ./spool p-3f2a7c51-4711-9d0b --json --payload --limit 1",
  ]).action(
    async (
      directory: string,
      name: string,
      { limit = 100, after = 0, ...flags }: SpoolFlags & { limit?: number; after?: number; payload?: true },
    ) => {
      const spools = await opened(directory, flags);
      const tasks = spools.tasks(name, { limit, after, payload: flags.payload === true });
      if (flags.json === true) await printJson(tasks.map((task) => taskJson(task, flags.payload === true)));
      else if (tasks.length === 0) note("No tasks.");
      else {
        await print(...taskLines(tasks, systemClock.nowMs()));
        if (tasks.length === limit) note(`There may be more: --after ${tasks.at(-1)!.sequence}`);
      }
    },
  );
}

function drainCommand(): Command {
  const command = new Command("drain")
    .summary("bring to Redis what processes left that died")
    .description(
      "Take over what processes left that died, and bring it to Redis; ends when all of it is there for good. What belongs to processes that run is left to them.",
    )
    .argument("<DIRECTORY>", "the spool's directory")
    .addOption(keyFileOption("with the spool's key"));
  return teaching(
    withActing(command),
    ["holdfast spool drain /var/lib/shop/spool --url redis://redis-1"],
    "Ctrl-C stops it: what is not delivered then stays where it is, and the same command goes on.",
  ).action(async (directory: string, flags: ActFlags & { keyFile?: string }) => {
    const url = flags.url ?? storageUrl();
    if (url === undefined) throw invalidOption("--url", "is needed: which Redis were these tasks meant for?");
    const spools = await opened(directory, flags);
    const result = await untilStopped((signal) => drained(spools, url, keyOf(flags), flags, signal));
    if (flags.json === true) return void (await printJson(result));
    if (result.left > 0) note(`holdfast: called off: ${count(result.left)} tasks are left; the same command goes on.`);
    const parked = result.parked > 0 ? `, ${count(result.parked)} parked` : "";
    await print(`${count(result.delivered)} tasks delivered${parked}`);
  });
}

function rmCommand(): Command {
  const command = new Command("rm")
    .summary("delete what a process left that died")
    .description("Delete what a process left that died: an empty part or, with --force, its tasks too.")
    .argument("<DIRECTORY>", "the spool's directory")
    .argument("<NAME>", "as `spool ls` has it")
    .option("-f, --force", "delete the tasks it holds, too: nobody else has them")
    .option("-y, --yes", "do not ask")
    .option("--reason <TEXT>", "why; kept in removed.jsonl")
    .option("--actor <NAME>", "who; your user and host unless given");
  return teaching(withSpool(command), [
    'holdfast spool rm ./spool p-3f2a7c51-4711-9d0b --force --reason "test data"',
  ]).action(
    async (
      directory: string,
      name: string,
      flags: SpoolFlags & { force?: true; yes?: true; reason?: string; actor?: string },
    ) => {
      const spools = await opened(directory, flags);
      const force = flags.force === true;
      if (force) await confirmed(`Delete ${name} with all tasks it holds, for good?`, flags, name);
      const { actor = thisProcess(), reason } = flags;
      const removed = spools.remove(name, { actor, force, ...(reason === undefined ? {} : { reason }) });
      if (flags.json === true) await printJson({ name, ...removed });
      else await print(`removed ${printable(name)}`);
    },
  );
}

function withSpool(command: Command): Command {
  return command.addOption(keyFileOption("with the spool's key")).option("--json", "print JSON, for programs");
}

async function opened(directory: string, flags: { readonly keyFile?: string }): Promise<Spools> {
  const { openSpools } = await import("../../index.js");
  const key = keyOf(flags);
  return openSpools(directory, key === undefined ? {} : { key });
}
