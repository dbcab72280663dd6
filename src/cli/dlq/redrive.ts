import { Command } from "commander";
import { count } from "../../core/counting.js";
import { printable } from "../../core/printable.js";
import type { Duration } from "../../index.js";
import type { RedriveInfo } from "../../deadletter/index.js";
import { confirmed } from "../confirm.js";
import { conflictExitCode } from "../exit-codes.js";
import { type ActFlags, type StorageFlags, teaching, wholeNumber, withActing, withStorage } from "../flags.js";
import { note, print, printJson, printJsonLine } from "../output.js";
import { untilStopped } from "../stopping.js";
import { actOf, type Opened } from "../storage.js";
import { columns, widthOf, wrapped } from "../terminal.js";
import { drawing } from "./drawing.js";
import { withDeadLetters } from "./open.js";
import { type RunFlags, runOptionsOf, selectionOf, withRunOptions } from "./redrive-flags.js";
import { nextLines, planLines, progressText, redriveLines, redriveListLines } from "./redrive-view.js";

interface RedriveFlags extends ActFlags, RunFlags {
  readonly rate?: number;
  readonly ramp?: Duration;
  readonly canary?: number;
  readonly brake?: number;
  readonly brakeSample?: number;
  readonly inFlight?: number;
  readonly ordered?: true;
  readonly watch?: Duration;
  readonly yes?: true;
  readonly detach?: true;
}

type Letters = Parameters<Parameters<typeof withDeadLetters>[1]>[0]["letters"];

export function redriveCommand(): Command {
  return new Command("redrive")
    .summary("run many dead letters again with care: a few first, at a rate, with a brake")
    .description(
      "Run many dead letters again with care: a plan, a few first, the rest at a rate, a stop when they fail again, and what became of each.",
    )
    .addCommand(planCommand())
    .addCommand(startCommand())
    .addCommand(statusCommand())
    .addCommand(pauseCommand())
    .addCommand(resumeCommand())
    .addCommand(rateCommand())
    .addCommand(cancelCommand());
}

const rateOption = ["--rate <N>", "tasks a second (10)", wholeNumber("--rate", 1, 5_000)] as const;

function withRedriveOptions(command: Command): Command {
  return withRunOptions(command)
    .option(...rateOption)
    .option("--ramp <TIME>", "how long it takes to come up to speed (30s)")
    .option("--canary <N>", "so many first, and their ends are waited for (5)", wholeNumber("--canary", 0, 500))
    .option(
      "--brake <PERCENT>",
      "stop when more of a cause have failed again; 100: never (20)",
      wholeNumber("--brake", 0, 100),
    )
    .option(
      "--brake-sample <N>",
      "so many of a cause must have ended for that (10)",
      wholeNumber("--brake-sample", 1, 10_000),
    )
    .option("--in-flight <N>", "at most so many moved and not ended (1000)", wholeNumber("--in-flight", 1, 10_000))
    .option("--ordered", "one after the other, the oldest first; stops when one fails")
    .option("--watch <TIME>", "how long to wait for those that run at the end (1h)");
}

const redriveOptionsOf = (flags: RedriveFlags) => {
  const { rate, ramp, canary, brake, brakeSample, inFlight, ordered, watch } = flags;
  return { ...runOptionsOf(flags), rate, ramp, canary, brake, brakeSample, inFlight, ordered, watch };
};

function planCommand(): Command {
  const command = withRedriveOptions(
    new Command("plan")
      .summary("what a redrive would do; changes nothing")
      .description("What a redrive would do: how many, how old, what not and why, and how long. Changes nothing."),
  );
  return teaching(withStorage(command), [
    'holdfast dlq redrive plan --where "fp:v1:5a0c5d3b2f1e9a77" --rate 50',
    'holdfast dlq redrive plan --where "queue:mail" --json | jq .ineligible',
  ]).action(async (words: readonly string[], flags: RedriveFlags) =>
    withDeadLetters(flags, async ({ broker, letters }) => {
      const { draw, end } = drawing();
      const onProgress = ({ scanned, total }: { scanned: number; total: number }) =>
        draw(`${count(scanned)} of ${count(total)} looked at`);
      const options = { ...redriveOptionsOf(flags), onProgress };
      const plan = await untilStopped(async (signal) =>
        letters.redrives.plan(selectionOf(words, flags), { ...options, signal }).finally(end),
      );
      if (flags.json === true) await printJson(plan);
      else await print(...planLines(plan, broker.clock.nowMs()));
    }),
  );
}

function startCommand(): Command {
  const command = withRedriveOptions(
    new Command("start")
      .summary("begin a redrive, and drive it until it is over")
      .description(
        "Begin a redrive: what is dead now and selected belongs to it. It is driven here until it is over or stops itself; Ctrl-C lets go of it, and another process may go on.",
      ),
  )
    .option("--detach", "only begin it: holdfast monitor drives it, or resume")
    .option("-y, --yes", "do not ask");
  return teaching(
    withActing(command),
    [
      'holdfast dlq redrive start --where "fp:v1:5a0c5d3b2f1e9a77" --rate 20',
      'holdfast dlq redrive start --where "queue:mail" --min-build 1.4.2 --yes',
      'holdfast dlq redrive start --where "type:ledger.*" --ordered --attempts 3',
    ],
    "Exit code 4: it has stopped itself, is paused or cancelled. In quarantine, acknowledged, in another redrive, to run at most once, for a human to decide on: such tasks are left, and counted.",
  ).action(async (words: readonly string[], flags: RedriveFlags) =>
    withDeadLetters(flags, async (opened) => {
      const { letters, broker, inspector } = opened;
      const selection = selectionOf(words, flags);
      if (flags.yes !== true) {
        const plan = await letters.redrives.plan(selection, redriveOptionsOf(flags));
        note(...planLines(plan, broker.clock.nowMs()), "");
        await confirmed(`Redrive these ${count(plan.tasks)} dead letters?`, flags);
      }
      const act = await actOf(flags, inspector);
      const { id } = await letters.redrives.start(selection, { ...act, ...redriveOptionsOf(flags) });
      if (flags.detach !== true) await drive(letters, id, flags, opened);
      else if (flags.json === true) await printJson(await letters.redrives.get(id));
      else await print(`begun: ${id}`, "holdfast monitor drives it, or:", `  holdfast dlq redrive resume ${id}`);
    }),
  );
}

const notGoingOn: ReadonlySet<RedriveInfo["status"]> = new Set(["braked", "paused", "cancelled"]);

/** Until it is over, stopped, or Ctrl-C lets go of it. */
async function drive(letters: Letters, id: string, flags: StorageFlags, { broker }: Opened): Promise<void> {
  const { draw, end } = drawing();
  let told = "";
  const onProgress = (redrive: RedriveInfo) => {
    // First, for a terminal of 80 columns cuts off the end.
    draw(`(Ctrl-C lets go) ${progressText(redrive)}`);
    // On a pipe only what is new is told, and in words.
    const state = `${redrive.phase} ${redrive.status}`;
    if (!process.stderr.isTTY && flags.json !== true && state !== told) note(progressText(redrive));
    told = state;
  };
  const redrive = await untilStopped(async (signal) => letters.redrives.drive(id, { signal, onProgress }).finally(end));
  if (notGoingOn.has(redrive.status)) process.exitCode ||= conflictExitCode;
  if (flags.json === true) await printJson(redrive);
  else await print(...redriveLines(redrive, broker.clock.nowMs()), ...nextLines(redrive));
}

function statusCommand(): Command {
  const command = new Command("status")
    .summary("all redrives, or how far one is")
    .description("All redrives, the last one first; or how far one is, and with --tasks what became of each task.")
    .argument("[REDRIVE]", "the id of a redrive")
    .option("--tasks", "what became of each of its tasks");
  return teaching(
    withStorage(command),
    [
      "holdfast dlq redrive status",
      "holdfast dlq redrive status 0199cc0e-3f2a-7c51-9d0b-6a54a9f3d0c1",
      "holdfast dlq redrive status ID --tasks --json | jq -r .became | sort | uniq -c",
    ],
    "What is known of a redrive is kept for 30 days after its end. --tasks --json is JSON Lines.",
  ).action(async (id: string | undefined, flags: StorageFlags & { tasks?: true }) =>
    withDeadLetters(flags, async ({ broker, letters }) => {
      const nowMs = broker.clock.nowMs();
      if (id === undefined) {
        const all = await letters.redrives.list();
        if (flags.json === true) await printJson(all);
        else if (all.length === 0) note("There are no redrives.");
        else await print(...redriveListLines(all, nowMs));
        return;
      }
      const redrive = await letters.redrives.get(id);
      if (flags.tasks === true) {
        for await (const task of letters.redrives.outcomes(id)) {
          const { queue, became, why = "", holder } = task;
          const words = [became, queue, task.id, holder === undefined ? why : `${why}: ${holder}`];
          const more =
            flags.json === true ? await printJsonLine(task) : await print(...outcomeLines(words.map(printable)));
          if (!more) return;
        }
      } else if (flags.json === true) await printJson(redrive);
      else await print(...redriveLines(redrive, nowMs), ...(redrive.isDriven ? [] : nextLines(redrive)));
    }),
  );
}

function pauseCommand(): Command {
  const command = new Command("pause")
    .summary("a redrive moves nothing more until it is resumed")
    .description("A redrive moves nothing more until it is resumed. What it has moved runs on.");
  return steering(command, "holdfast dlq redrive pause ID --reason lunch", async (letters, id, act) =>
    letters.redrives.pause(id, act),
  );
}

function resumeCommand(): Command {
  const command = new Command("resume")
    .summary("go on, also with one that stopped itself, and drive it")
    .description(
      "Go on with a redrive that is paused, has stopped itself, or that nobody drives, and drive it here until it is over.",
    )
    .argument("<REDRIVE>", "the id of a redrive")
    .option("--detach", "only let it go on: holdfast monitor drives it");
  return teaching(withActing(command), ["holdfast dlq redrive resume ID"]).action(
    async (id: string, flags: ActFlags & { detach?: true }) =>
      withDeadLetters(flags, async (opened) => {
        const { letters, inspector, broker } = opened;
        const redrive = await letters.redrives.resume(id, await actOf(flags, inspector));
        if (flags.detach !== true) await drive(letters, id, flags, opened);
        else if (flags.json === true) await printJson(redrive);
        else await print(...redriveLines(redrive, broker.clock.nowMs()));
      }),
  );
}

/** Where it does not fit, what matters is above, and where is below. */
function outcomeLines(words: readonly string[]): string[] {
  const whole = words.join("  ").trimEnd();
  if (widthOf(whole) <= columns()) return [whole];
  const [became, queue, id, why] = words;
  return [`${became}  ${id}`, ...wrapped(`${queue}  ${why}`.trimEnd(), "  ")];
}

function rateCommand(): Command {
  const command = new Command("rate").summary("another rate, from now on").description("Another rate, tasks a second.");
  return teaching(
    withActing(
      command.argument("<REDRIVE>", "the id of a redrive").argument("<RATE>", "tasks a second", rateOption[2]),
    ),
    ["holdfast dlq redrive rate ID 100"],
  ).action(async (id: string, rate: number, flags: ActFlags) =>
    withDeadLetters(flags, async ({ letters, inspector, broker }) => {
      const redrive = await letters.redrives.rate(id, rate, await actOf(flags, inspector));
      if (flags.json === true) await printJson(redrive);
      else await print(...redriveLines(redrive, broker.clock.nowMs()));
    }),
  );
}

function cancelCommand(): Command {
  const command = new Command("cancel")
    .summary("end a redrive: what was not moved stays a dead letter")
    .description("End a redrive: what was not moved stays a dead letter. What was moved runs on.");
  return steering(command, 'holdfast dlq redrive cancel ID --reason "wrong group"', async (letters, id, act) =>
    letters.redrives.cancel(id, act),
  );
}

function steering(
  command: Command,
  example: string,
  act: (letters: Letters, id: string, by: { actor: string; reason?: string }) => Promise<RedriveInfo>,
): Command {
  return teaching(withActing(command.argument("<REDRIVE>", "the id of a redrive")), [example]).action(
    async (id: string, flags: ActFlags) =>
      withDeadLetters(flags, async ({ letters, inspector, broker }) => {
        const redrive = await act(letters, id, await actOf(flags, inspector));
        if (flags.json === true) await printJson(redrive);
        else await print(...redriveLines(redrive, broker.clock.nowMs()), ...nextLines(redrive));
      }),
  );
}
