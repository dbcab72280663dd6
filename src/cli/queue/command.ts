import { Command } from "commander";
import { count } from "../../core/counting.js";
import { printable } from "../../core/printable.js";
import { unavailableQueues } from "../../core/queue-list.js";
import { confirmed } from "../confirm.js";
import { type ActFlags, type StorageFlags, teaching, wholeNumber, withActing, withStorage } from "../flags.js";
import { queueJson } from "../json-shapes.js";
import { note, print, printJson } from "../output.js";
import { untilStopped } from "../stopping.js";
import { actOf, withStorageOpen } from "../storage.js";
import { taskCount } from "./figures.js";
import { historyLines, queueLines, queueListLines } from "./view.js";

export function queueCommand(): Command {
  return new Command("queue")
    .summary("look at queues, pause, resume and remove them")
    .description("Look at queues, pause, resume and remove them.")
    .addCommand(lsCommand())
    .addCommand(showCommand())
    .addCommand(pauseCommand())
    .addCommand(resumeCommand())
    .addCommand(rmCommand());
}

function lsCommand(): Command {
  const command = new Command("ls")
    .summary("all queues")
    .description("All queues: tasks they hold, how long the next one waits, memory (an estimate), totals of all time.");
  return teaching(
    withStorage(command),
    ["holdfast queue ls", "holdfast queue ls --json | jq '.[].name'"],
    "What queues do right now: holdfast stats. One of them: holdfast queue show QUEUE. Exit code 5: some queues could not be asked, for a node of the Cluster is away; the others are listed.",
  ).action(async (flags: StorageFlags) =>
    withStorageOpen(flags, async ({ broker, inspector }) => {
      const queues = await inspector.queues();
      const memory = await inspector.memory(queues.map(({ name }) => name));
      const { unavailable } = queues;
      if (flags.json === true) {
        await printJson(queues.map((queue, i) => queueJson(queue, memory[i])));
      } else if (queues.length > 0) await print(...queueListLines(queues, memory, broker.clock.nowMs()));
      else if (unavailable.length === 0) note(`There are no queues in ${printable(broker.label)}.`);
      if (unavailable.length > 0) throw unavailableQueues(broker.label, unavailable);
    }),
  );
}

function showCommand(): Command {
  const command = new Command("show")
    .summary("one queue: states, pause, memory, the last days")
    .description(
      "Queues in full: tasks by state, who paused them and why, memory (an estimate), and the last days (UTC).",
    )
    .argument("<QUEUE...>", "names of queues")
    .option("--days <N>", "how many days of history, 1 … 90", wholeNumber("--days", 1, 90), 7);
  return teaching(withStorage(command), [
    "holdfast queue show default",
    "holdfast queue show critical low --days 30",
    "holdfast queue show default --json | jq '.[0].history'",
  ]).action(async (names: readonly string[], flags: StorageFlags & { days: number }) =>
    withStorageOpen(flags, async ({ broker, inspector }) => {
      const queues = await Promise.all(names.map((name) => inspector.queue(name)));
      const memory = await inspector.memory(names);
      const history = await Promise.all(names.map((name) => inspector.history(name, flags.days)));
      if (flags.json === true) {
        await printJson(queues.map((queue, i) => ({ ...queueJson(queue, memory[i]), history: history[i]! })));
        return;
      }
      for (const [i, queue] of queues.entries()) {
        const lines = queueLines(queue, memory[i]!, broker.clock.nowMs());
        await print(...(i > 0 ? [""] : []), ...lines, "", ...historyLines(history[i]!));
      }
    }),
  );
}

function pauseCommand(): Command {
  const command = new Command("pause")
    .summary("no task of a queue is started until it is resumed")
    .description(
      "No task of these queues is started until they are resumed. They still take tasks, and what runs is finished.",
    )
    .argument("<QUEUE...>", "names of queues");
  return teaching(withActing(command), [
    'holdfast queue pause email --reason "smtp is down"',
    "holdfast queue resume email",
  ]).action(async (names: readonly string[], flags: ActFlags) => setPaused(names, true, flags));
}

function resumeCommand(): Command {
  const command = new Command("resume")
    .summary("start the tasks of a paused queue again")
    .description("Start the tasks of paused queues again.")
    .argument("<QUEUE...>", "names of queues");
  return teaching(withActing(command), ["holdfast queue resume email"]).action(
    async (names: readonly string[], flags: ActFlags) => setPaused(names, false, flags),
  );
}

async function setPaused(names: readonly string[], paused: boolean, flags: ActFlags): Promise<void> {
  await withStorageOpen(flags, async ({ inspector }) => {
    const act = await actOf(flags, inspector);
    await Promise.all(names.map((name) => inspector.queue(name))); // All or none: a wrong name is told before anything is done.
    const word = paused ? "paused" : "resumed";
    const done = [];
    for (const name of names) {
      const { changed } = paused ? await inspector.pause(name, act) : await inspector.resume(name, act);
      done.push({ queue: name, paused, changed });
      if (flags.json !== true) await print(`${word} ${printable(name)}${changed ? "" : " (it was already)"}`);
    }
    if (flags.json === true) await printJson(done);
  });
}

function rmCommand(): Command {
  const command = new Command("rm")
    .summary("remove a queue and all that belongs to it")
    .description("Remove a queue and all that belongs to it: an empty one or, with --force, its tasks too.")
    .argument("<QUEUE>", "name of the queue")
    .option("-f, --force", "delete the tasks it holds, too (never while one is active)")
    .option("-y, --yes", "do not ask");
  return teaching(
    withActing(command),
    ["holdfast queue rm old-imports", 'holdfast queue rm old-imports --force --yes --reason "moved to imports"'],
    "A queue comes back with the next task that is enqueued on it.",
  ).action(async (name: string, flags: ActFlags & { force?: true; yes?: true }) =>
    withStorageOpen(flags, async ({ inspector }) => {
      const tasks = taskCount(await inspector.queue(name));
      if (flags.force === true && tasks > 0) {
        await confirmed(`Delete queue "${name}" with its ${count(tasks)} tasks, for good?`, flags, name);
      }
      const act = await actOf(flags, inspector);
      const { dropped } = await untilStopped(async (signal) =>
        inspector.drop(name, { ...act, force: flags.force === true, signal }),
      );
      if (flags.json === true) await printJson({ queue: name, dropped });
      else if (dropped) await print(`removed ${printable(name)}`);
      else note(`holdfast: called off: ${printable(name)} is paused and partly deleted; the same command goes on.`);
    }),
  );
}
