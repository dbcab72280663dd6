import { Command, Option } from "commander";
import { count } from "../../core/counting.js";
import { invalidOption } from "../../core/errors.js";
import { printable } from "../../core/printable.js";
import type { Policy } from "../../deadletter/index.js";
import { confirmed } from "../confirm.js";
import {
  type ActFlags,
  type StorageFlags,
  teaching,
  wholeNumber,
  withActing,
  withStorage,
  WordOption,
} from "../flags.js";
import { notFoundExitCode } from "../exit-codes.js";
import { keyFileOption, type KeyFileFlags, keyOf } from "../key-file.js";
import { note, print, printJson } from "../output.js";
import { untilStopped } from "../stopping.js";
import { actOf } from "../storage.js";
import { table } from "../table.js";
import { wrapped } from "../terminal.js";
import { iso, span } from "../times.js";
import { withDeadLetters } from "./open.js";

export function policyCommand(): Command {
  return new Command("policy")
    .summary("how many dead letters are kept, and what becomes of the others")
    .description(
      "How many dead letters a queue keeps, for how long, and what becomes of the others. Without a policy all are kept.",
    )
    .addCommand(lsCommand())
    .addCommand(setCommand())
    .addCommand(rmCommand())
    .addCommand(applyCommand());
}

function lsCommand(): Command {
  const command = new Command("ls").summary("the policies there are").description("The policies there are.");
  return teaching(withStorage(command), ["holdfast dlq policy ls"]).action(async (flags: StorageFlags) =>
    withDeadLetters(flags, async ({ letters, broker }) => {
      const policies = await letters.policies();
      if (flags.json === true) return void (await printJson(policies.map(policyJson)));
      if (policies.length === 0) return note("No policies: dead letters are kept until somebody decides.");
      const nowMs = broker.clock.nowMs();
      await print(
        ...table<Policy>(
          [
            { head: "QUEUE", cell: ({ queue }) => queue, min: 8 },
            { head: "TYPE", cell: ({ type = "" }) => type, min: 6 },
            { head: "FOR", cell: ({ keepForMs }) => (keepForMs === undefined ? "" : span(keepForMs)), align: "right" },
            {
              head: "MOST",
              cell: ({ keepMost }) => (keepMost === undefined ? "" : count(keepMost)),
              align: "right",
            },
            { head: "OVERFLOW", cell: ({ overflow }) => overflow },
            { head: "SET", cell: ({ setAtMs }) => `${span(Math.max(0, nowMs - setAtMs))} ago`, rank: 2 },
            { head: "BY", cell: ({ actor }) => actor, min: 6, rank: 3 },
          ],
          policies,
        ),
      );
    }),
  );
}

interface SetFlags extends ActFlags {
  readonly type?: string;
  readonly keepFor?: string;
  readonly keepMost?: number;
  readonly overflow?: string;
  readonly yes?: true;
}

const typeOption = () => new Option("-t, --type <TYPE>", "dead letters of this type alone");
const queueWords = 'name of the queue; "*": all that have no policy of their own';

function setCommand(): Command {
  const command = new Command("set")
    .summary("keep so many, for so long")
    .description("Keep so many dead letters of a queue, or of a type in it, for so long, instead of what held before.")
    .argument("<QUEUE>", queueWords)
    .addOption(typeOption())
    .option("--keep-for <DURATION>", "older ones are past the bound: 30d")
    .option("--keep-most <N>", "the oldest beyond so many are", wholeNumber("--keep-most", 0, Number.MAX_SAFE_INTEGER))
    .addOption(
      new WordOption("--overflow <WHAT>", "past a bound: refuse (keep them, and alert), spill, drop (refuse)", [
        "refuse",
        "spill",
        "drop",
      ]),
    )
    .option("-y, --yes", "do not ask");
  return teaching(
    withActing(command),
    [
      "holdfast dlq policy set orders --keep-most 50000",
      "holdfast dlq policy set orders --keep-for 90d --overflow spill",
      "holdfast dlq policy set orders --type noise:ping --keep-for 7d --overflow drop",
      "holdfast dlq policy set '*' --keep-for 365d --overflow spill",
    ],
    "`holdfast monitor` carries policies out; those that spill need its --spill DIRECTORY. Whatever leaves is counted (`dlq stats`) and recorded. A type with a policy of its own is not counted for the queue's.",
  ).action(async (queue: string, { type, keepFor, keepMost, overflow, ...flags }: SetFlags) =>
    withDeadLetters(flags, async ({ letters, inspector }) => {
      if (overflow === "drop") {
        const of = queue === "*" ? "all queues without a policy" : `queue "${queue}"`;
        const what = type === undefined ? "" : ` of type "${type}"`;
        await confirmed(`Dead letters${what} of ${of} past the bound will be deleted for good.`, flags, queue);
      }
      const options = { queue, type, keepFor, keepMost, overflow } as Parameters<typeof letters.setPolicy>[0];
      const policy = await letters.setPolicy(options, await actOf(flags, inspector));
      if (flags.json === true) await printJson(policyJson(policy));
      else {
        await print(...wrapped(`set for ${nameOf(policy)}`, "", "  "));
        note("`holdfast monitor` carries it out; `holdfast dlq stats` shows what it does.");
      }
    }),
  );
}

function rmCommand(): Command {
  const command = new Command("rm")
    .summary("keep all of them again")
    .description("Remove a policy: what it bounded is kept until somebody decides, or by the policy for all queues.")
    .argument("<QUEUE>", queueWords)
    .addOption(typeOption());
  return teaching(withActing(command), [
    "holdfast dlq policy rm orders",
    "holdfast dlq policy rm orders -t noise:ping",
  ]).action(async (queue: string, { type, ...flags }: ActFlags & { type?: string }) =>
    withDeadLetters(flags, async ({ letters, inspector }) => {
      const which = { queue, ...(type === undefined ? {} : { type }) };
      const removed = await letters.removePolicy(which, await actOf(flags, inspector));
      if (!removed) process.exitCode = notFoundExitCode;
      if (flags.json === true) await printJson({ queue, type: type ?? null, removed });
      else await print(`${removed ? "removed" : "there was no policy"} for ${printable(nameOf({ queue, type }))}`);
    }),
  );
}

function applyCommand(): Command {
  const command = new Command("apply")
    .summary("carry the policies out now")
    .description("Carry out all policies now, once, as `holdfast monitor` does all the time.")
    .option("--spill <DIRECTORY>", "where dead letters are spilled to")
    .addOption(keyFileOption("encrypts what is spilled"));
  return teaching(withStorage(command), ["holdfast dlq policy apply --spill /var/lib/shop/dead-letters"]).action(
    async ({ spill, ...flags }: StorageFlags & KeyFileFlags & { spill?: string }) =>
      withDeadLetters(flags, async ({ letters }) => {
        const key = keyOf(flags);
        if (key !== undefined && spill === undefined) throw invalidOption("--spill", "is needed with --key-file");
        const keeper = letters.growthKeeper({ directory: spill, key });
        const done = { dropped: 0, spilled: 0, files: new Set<string>() };
        try {
          await untilStopped(async (signal) => {
            for (let more = true; more && !signal.aborted;) {
              const step = await keeper.step();
              done.dropped += step.dropped;
              done.spilled += step.spilled;
              for (const file of step.files) done.files.add(file);
              more = step.more;
            }
          });
        } finally {
          await keeper.close();
        }
        if (flags.json === true) await printJson({ ...done, files: [...done.files] });
        else {
          await print(`${count(done.spilled)} spilled, ${count(done.dropped)} dropped`);
          for (const file of done.files) await print(`  ${printable(file)}`);
        }
      }),
  );
}

const nameOf = ({ queue, type }: { readonly queue: string; readonly type?: string | undefined }) =>
  (queue === "*" ? "all queues without a policy" : queue) + (type === undefined ? "" : `, type ${type}`);

const policyJson = ({ queue, type, keepForMs, keepMost, overflow, actor, reason, setAtMs }: Policy) => ({
  queue,
  type: type ?? null,
  keepForMs: keepForMs ?? null,
  keepMost: keepMost ?? null,
  overflow,
  actor,
  reason,
  setAt: iso(setAtMs),
});
