import { Command } from "commander";
import { ackCommand } from "./ack.js";
import { discardCommand } from "./discard.js";
import { editCommand } from "./edit.js";
import { exportCommand } from "./export.js";
import { importCommand } from "./import.js";
import { noteCommand, reopenCommand, resolveCommand, snoozeCommand } from "./group-acts.js";
import { groupsCommand } from "./groups.js";
import { lsCommand } from "./ls.js";
import { redriveCommand } from "./redrive.js";
import { runCommand } from "./run.js";
import { replayCommand } from "./replay.js";
import { restoreCommand } from "./restore.js";
import { reviewCommand } from "./review.js";
import { quarantineCommand } from "./quarantine.js";
import { rulesCommand } from "./rules.js";
import { searchCommand } from "./search.js";
import { showCommand } from "./show.js";
import { statsCommand } from "./stats.js";
import { policyCommand } from "./policy.js";
import { spillCommand } from "./spill.js";
import { trashCommand } from "./trash.js";

export function dlqCommand(): Command {
  return new Command("dlq")
    .summary("dead letters: what failed, why, and what to do about it")
    .description("Dead letters of all queues: what failed, why, and what to do about it.")
    .addCommand(lsCommand())
    .addCommand(groupsCommand())
    .addCommand(noteCommand())
    .addCommand(resolveCommand())
    .addCommand(snoozeCommand())
    .addCommand(reopenCommand())
    .addCommand(statsCommand())
    .addCommand(searchCommand())
    .addCommand(runCommand())
    .addCommand(redriveCommand())
    .addCommand(showCommand())
    .addCommand(rulesCommand())
    .addCommand(quarantineCommand())
    .addCommand(reviewCommand())
    .addCommand(policyCommand())
    .addCommand(spillCommand())
    .addCommand(ackCommand())
    .addCommand(editCommand())
    .addCommand(replayCommand())
    .addCommand(discardCommand())
    .addCommand(restoreCommand())
    .addCommand(trashCommand())
    .addCommand(exportCommand())
    .addCommand(importCommand());
}
