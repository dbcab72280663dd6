import { Command } from "commander";
import { cancelCommand } from "./cancel.js";
import { enqueueCommand } from "./enqueue.js";
import { lsCommand } from "./list.js";
import { archiveCommand, deleteCommand, runCommand } from "./move.js";
import { payloadCommand } from "./payload.js";
import { showCommand } from "./show.js";

export function taskCommand(): Command {
  return new Command("task")
    .summary("look at tasks, enqueue, run, archive, delete and cancel them")
    .description("Look at tasks, enqueue, run, archive, delete and cancel them.")
    .addCommand(lsCommand())
    .addCommand(showCommand())
    .addCommand(enqueueCommand())
    .addCommand(runCommand())
    .addCommand(archiveCommand())
    .addCommand(deleteCommand())
    .addCommand(cancelCommand())
    .addCommand(payloadCommand());
}
