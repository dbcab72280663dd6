import { Command } from "commander";
import { lsCommand } from "./ls.js";
import { searchCommand } from "./search.js";
import { policyCommand } from "./policy.js";
import { spillCommand } from "./spill.js";

export function dlqCommand(): Command {
  return new Command("dlq")
    .summary("dead letters: what failed, why, and what to do about it")
    .description("Dead letters of all queues: what failed, why, and what to do about it.")
    .addCommand(lsCommand())
    .addCommand(searchCommand())
    .addCommand(policyCommand())
    .addCommand(spillCommand());
}
