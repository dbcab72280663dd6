import { Argument, Command, Option } from "commander";
import { count } from "../../core/counting.js";
import { HoldfastError, invalidOption } from "../../core/errors.js";
import type { RuleMode, RuleOptions } from "../../deadletter/index.js";
import type { Duration } from "../../index.js";
import { confirmed } from "../confirm.js";
import { type ActFlags, type StorageFlags, teaching, wholeNumber, withActing, withStorage } from "../flags.js";
import { note, print, printJson } from "../output.js";
import { actOf } from "../storage.js";
import { withDeadLetters } from "./open.js";
import { nextLines, previewLines, ruleJson, ruleLines, rulesLines } from "./rules-view.js";

export function rulesCommand(): Command {
  return new Command("rules")
    .summary("rules that run, route or discard dead letters by themselves")
    .description(
      "Rules that run, route or discard dead letters by themselves, carried out by `holdfast monitor`. The first that matches has a dead letter.",
    )
    .addCommand(lsCommand())
    .addCommand(showCommand())
    .addCommand(addCommand())
    .addCommand(previewCommand())
    .addCommand(modeCommand("enable"))
    .addCommand(modeCommand("disable"))
    .addCommand(rmCommand());
}

const nameArgument = () => new Argument("<NAME>", "the rule's name");

function lsCommand(): Command {
  const command = new Command("ls")
    .summary("all rules")
    .description("All rules, in the order in which they are tried.");
  return teaching(withStorage(command), ["holdfast dlq rules ls", "holdfast dlq rules ls --json"]).action(
    async (flags: StorageFlags) =>
      withDeadLetters(flags, async ({ broker, letters }) => {
        const rules = await letters.rules();
        if (flags.json === true) await printJson(rules.map(ruleJson));
        else if (rules.length === 0) note("No rules. How to add one: holdfast dlq rules add --help");
        else await print(...rulesLines(rules, broker.clock.nowMs()));
      }),
  );
}

function showCommand(): Command {
  const command = new Command("show").summary("one rule in full").description("One rule, and what it did so far.");
  return teaching(withStorage(command.addArgument(nameArgument())), ["holdfast dlq rules show smtp-again"]).action(
    async (name: string, flags: StorageFlags) =>
      withDeadLetters(flags, async ({ broker, letters }) => {
        const rule = (await letters.rules()).find((one) => one.name === name);
        if (rule === undefined) throw new HoldfastError("RULE_NOT_FOUND", { name });
        if (flags.json === true) await printJson(ruleJson(rule));
        else await print(...ruleLines(rule, broker.clock.nowMs()));
      }),
  );
}

interface RuleFlags {
  readonly run?: true;
  readonly route?: string;
  readonly discard?: true;
  readonly attempts?: number;
  readonly keep?: string;
  readonly after?: string;
  readonly owner?: string;
  readonly expires?: string;
  readonly rate?: number;
  readonly cap?: number;
  readonly order?: number;
  readonly live?: true;
}

function withRule(command: Command): Command {
  return command
    .option("--run", "run them again, once each")
    .option("--route <QUEUE>", "run them in another queue")
    .option("--discard", "put them into the trash")
    .option("--attempts <N>", "of --run and --route: runs before it is dead again", wholeNumber("--attempts", 1, 1_000))
    .option("--keep <DURATION>", "of --discard: how long it can be restored, 14d unless given")
    .option("--after <DURATION>", "how old a dead letter is by then, 5m unless given")
    .option("--cap <N>", "not what was run again so often, 3 unless given", wholeNumber("--cap", 1, 100));
}

/** Those that were given. */
function optionsOf(flags: RuleFlags): Partial<RuleOptions> {
  const ways = [flags.run, flags.route, flags.discard].filter((way) => way !== undefined);
  if (ways.length !== 1) throw invalidOption("--run", "or --route QUEUE or --discard: give one of them");
  const duration = (word: string | undefined) => word as Duration | undefined;
  const given = {
    action: flags.run === true ? "run" : flags.discard === true ? "discard" : "route",
    queue: flags.route,
    attempts: flags.attempts,
    keep: duration(flags.keep),
    after: duration(flags.after),
    owner: flags.owner,
    expires: duration(flags.expires),
    perMinute: flags.rate,
    cap: flags.cap,
    order: flags.order,
    mode: flags.live === true ? "live" : undefined,
  } as const;
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
}

function addCommand(): Command {
  const command = withRule(
    new Command("add")
      .summary("add a rule, which only counts at first")
      .description("Add a rule. Unless it is --live it only counts what it would do.")
      .addArgument(nameArgument())
      .argument("<SEARCH>", "which dead letters, in single quotes; see dlq search"),
  )
    .option("--owner <NAME>", "who answers for it; needed")
    .option("--expires <DURATION>", "how long it holds, up to 365d; needed")
    .option("--rate <N>", "so many a minute at the most, 60 unless given", wholeNumber("--rate", 1, 60_000))
    .option("--order <N>", "tried by it, behind all others unless given", wholeNumber("--order", 0, 1_000_000))
    .option("--live", "begin at once");
  return teaching(withActing(command), [
    "holdfast dlq rules add smtp 'type:mail' --run --owner mail --expires 30d",
    "holdfast dlq rules add noise 'type:ping' --discard --owner ops --expires 90d",
    "holdfast dlq rules add odd 'type:invoice' --route fix --owner ops --expires 7d",
  ]).action(async (name: string, search: string, flags: ActFlags & RuleFlags) =>
    withDeadLetters(flags, async ({ inspector, letters }) => {
      const options = { ...optionsOf(flags), name, search };
      const rule = await letters.addRule(options, await actOf(flags, inspector));
      if (flags.json === true) {
        await printJson(ruleJson(rule));
        return;
      }
      await print(`Added ${name}: ${rule.status}.`, ...previewLines(await letters.previewRule(name)));
      note(...nextLines(rule));
    }),
  );
}

function previewCommand(): Command {
  const command = withRule(
    new Command("preview")
      .summary("what a rule would do, or one that is not there yet")
      .description("What a rule would do with the last dead letters of each queue. Nothing is changed.")
      .argument("<NAME-OR-SEARCH>", "a rule's name; with --run, --route or --discard a search"),
  ).addOption(
    new Option("--last <N>", "dead letters to look at in each queue, 1,000 unless given").argParser(
      wholeNumber("--last", 1, 100_000),
    ),
  );
  return teaching(withStorage(command), [
    "holdfast dlq rules preview smtp-again",
    "holdfast dlq rules preview 'type:email:* err~timeout' --run",
  ]).action(async (word: string, flags: StorageFlags & RuleFlags & { readonly last?: number }) =>
    withDeadLetters(flags, async ({ letters }) => {
      const isDraft = flags.run ?? flags.route ?? flags.discard;
      const preview = await letters.previewRule(
        isDraft === undefined ? word : { ...optionsOf(flags), search: word },
        flags.last,
      );
      if (flags.json === true) await printJson(preview);
      else await print(...previewLines(preview));
    }),
  );
}

function modeCommand(verb: "enable" | "disable"): Command {
  const command = new Command(verb).addArgument(nameArgument());
  if (verb === "enable")
    command
      .summary("let a rule act")
      .description("Let a rule act: on all dead letters there are, the oldest first, and those to come.")
      .option("--shadow", "only count what it would do")
      .option("-y, --yes", "do not ask");
  else command.summary("stop a rule").description("Stop a rule. It stays, and does nothing.");
  return teaching(withActing(command), [`holdfast dlq rules ${verb} smtp-again`]).action(
    async (name: string, flags: ActFlags & { readonly shadow?: true; readonly yes?: true }) =>
      withDeadLetters(flags, async ({ inspector, letters }) => {
        const mode: RuleMode = verb === "disable" ? "off" : flags.shadow === true ? "shadow" : "live";
        if (mode === "live") {
          const { would, matched } = await letters.previewRule(name);
          const what = `it matches ${count(matched)} of the last dead letters and would take ${count(would)}`;
          await confirmed(`Let rule "${name}" act? Now ${what}.`, flags);
        }
        const rule = await letters.setRuleMode(name, mode, await actOf(flags, inspector));
        if (flags.json === true) await printJson(ruleJson(rule));
        else {
          await print(`${name}: ${rule.status}.`);
          note(...nextLines(rule));
        }
      }),
  );
}

function rmCommand(): Command {
  const command = new Command("rm")
    .summary("remove a rule")
    .description("Remove a rule, and what it has counted.")
    .addArgument(nameArgument());
  return teaching(withActing(command), ["holdfast dlq rules rm smtp-again"]).action(
    async (name: string, flags: ActFlags) =>
      withDeadLetters(flags, async ({ inspector, letters }) => {
        await letters.removeRule(name, await actOf(flags, inspector));
        if (flags.json === true) await printJson({ removed: name });
        else await print(`${name} is removed. What it put into the trash can be restored.`);
      }),
  );
}
