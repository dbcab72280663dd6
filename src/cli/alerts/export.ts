import { Command } from "commander";
import { teaching } from "../flags.js";
import { readConfig } from "../monitor/config-file.js";
import { print } from "../output.js";

export function exportCommand(): Command {
  const command = new Command("export")
    .summary("the same rules for Prometheus")
    .description("The rules that holdfast monitor judges by, with the file's thresholds, as Prometheus's rules.yml.")
    .option("--config <FILE>", "the monitor's file");
  return teaching(command, [
    "holdfast alerts export > rules.yml && promtool check rules rules.yml",
    "holdfast alerts export --config monitor.json",
  ]).action(async (flags: { readonly config?: string }) => {
    const { prometheusRules } = await import("../../ops/index.js");
    await print(prometheusRules(readConfig(flags.config)).trimEnd());
  });
}
