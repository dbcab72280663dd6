import { Command } from "commander";
import { exportCommand } from "./export.js";
import { lsCommand } from "./ls.js";
import { testCommand } from "./test.js";

export function alertsCommand(): Command {
  return new Command("alerts")
    .summary("what holdfast monitor tells people")
    .description("What holdfast monitor tells people: see it, try its channels, take its rules to Prometheus.")
    .addCommand(lsCommand())
    .addCommand(testCommand())
    .addCommand(exportCommand());
}
