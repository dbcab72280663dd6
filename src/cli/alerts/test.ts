import { Command, Option } from "commander";
import ansis from "ansis";
import type { Delivered } from "../../ops/index.js";
import { teaching } from "../flags.js";
import { mailer } from "../monitor/mailer.js";
import { readConfig } from "../monitor/config-file.js";
import { print, printJson } from "../output.js";
import { type Column, table } from "../table.js";
import { wrapped } from "../terminal.js";

interface Flags {
  readonly config: string;
  readonly json?: true;
}

export function testCommand(): Command {
  const command = new Command("test")
    .summary("send a test to the channels")
    .description("Send an alert that fires, and its end, to all channels or to one, once and at once.")
    .argument("[CHANNEL]", "its name")
    .requiredOption("--config <FILE>", "the monitor's file")
    .addOption(new Option("--json", "print JSON, for programs"));
  return teaching(
    command,
    ["holdfast alerts test --config monitor.json", "holdfast alerts test on-call --config monitor.json"],
    "Storage is not asked. It ends with 1 where a channel did not take both.",
  ).action(async (channel: string | undefined, flags: Flags) => {
    const { testChannels } = await import("../../ops/index.js");
    const delivered = await testChannels(readConfig(flags.config), mailer, channel);
    if (delivered.some(({ problem }) => problem !== undefined)) process.exitCode = 1;
    if (flags.json === true) {
      await printJson(
        delivered.map((one) => ({ ...one, problem: one.problem ?? null, tookMs: Math.round(one.tookMs) })),
      );
      return;
    }
    const bad = delivered.flatMap(({ channel: name, problem }) =>
      problem === undefined ? [] : ["", ...wrapped(`${name}: ${problem}`)],
    );
    await print(...table(columns, delivered), ...bad);
  });
}

const columns: Column<Delivered>[] = [
  { head: "CHANNEL", cell: ({ channel }) => channel, min: 10 },
  {
    head: "TAKEN",
    cell: ({ problem }) => (problem === undefined ? "yes" : "no"),
    style: (text, { problem }) => (problem === undefined ? ansis.green(text) : ansis.red(text)),
  },
  {
    head: "TOOK",
    cell: ({ problem, tookMs }) => (problem === undefined ? `${Math.round(tookMs)} ms` : ""),
    align: "right",
  },
];
