import { Command } from "commander";
import { exportCommand } from "./export.js";
import { keygenCommand } from "./keygen.js";
import { lsCommand } from "./ls.js";
import { sealCommand } from "./seal.js";
import { verifyCommand } from "./verify.js";

export function auditCommand(): Command {
  return new Command("audit")
    .summary("who did what and why, and proof that nobody changed it")
    .description("What was done by hand, by whom and why; chained and signed, so that a change of it is found.")
    .addCommand(lsCommand())
    .addCommand(sealCommand())
    .addCommand(verifyCommand())
    .addCommand(exportCommand())
    .addCommand(keygenCommand());
}
