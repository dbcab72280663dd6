import { Command } from "commander";
import { aclCommand } from "./acl.js";
import { alertsCommand } from "./alerts/command.js";
import { auditCommand } from "./audit/command.js";
import { completionCommand } from "./completion/command.js";
import { dlqCommand } from "./dlq/command.js";
import { demoCommand } from "./demo/command.js";
import { helpWidth } from "./flags.js";
import { groupCommand } from "./group.js";
import { maintenanceCommand } from "./maintenance/command.js";
import { monitorCommand } from "./monitor/command.js";
import { packageVersion } from "./package-root.js";
import { outageCommand } from "./outage/command.js";
import { queueCommand } from "./queue/command.js";
import { spoolCommand } from "./spool/command.js";
import { statsCommand } from "./stats/command.js";
import { taskCommand } from "./task/command.js";
import { workerCommand } from "./worker.js";

const overview = `
Start with:
  holdfast demo                             see it work; needs no server
  holdfast stats --watch                    what your queues do right now
  holdfast task ls default -s archived      dead letters, with their errors
  holdfast task run default -s archived     run them all again
  holdfast task enqueue -t email:welcome -p '{"to":"ann@example.com"}'

Storage is redis://localhost:6379 unless HOLDFAST_URL or --url says another:
  redis://… rediss://… redis-socket:///path redis-cluster://… redis-sentinel://…
  file:./tasks.db

Exit codes: 0 done; 2 a wrong call; 3 no such task or queue; 4 not in its state;
5 storage cannot be used; 130 called off. Output on a terminal fits it; on a pipe
nothing is cut. --json is for programs.`;

/** The tree of all commands: what is parsed, completed and documented. */
export function newProgram(): Command {
  const program: Command = new Command("holdfast")
    .description("A task queue for Node.js on Redis, or on one file; wire-compatible with Go's asynq.")
    .version(packageVersion(), "-V, --version", "the version")
    .addHelpText("after", overview)
    .addCommand(statsCommand())
    .addCommand(queueCommand())
    .addCommand(taskCommand())
    .addCommand(dlqCommand())
    .addCommand(workerCommand())
    .addCommand(groupCommand())
    .addCommand(spoolCommand())
    .addCommand(maintenanceCommand())
    .addCommand(outageCommand())
    .addCommand(monitorCommand())
    .addCommand(alertsCommand())
    .addCommand(auditCommand())
    .addCommand(aclCommand())
    .addCommand(completionCommand(() => program))
    .addCommand(demoCommand());
  for (const command of allCommands(program)) {
    command
      .exitOverride()
      .helpOption("-h, --help", "this help")
      .configureHelp({ helpWidth, subcommandTerm })
      .helpCommand(false);
  }
  return program.helpCommand("help [COMMAND]", "the help of a command");
}

/** "ls [QUEUE]": that there are options goes without saying. */
function subcommandTerm(command: Command): string {
  const words = command.registeredArguments.map((argument) => {
    const dots = argument.variadic ? "..." : "";
    return argument.required ? `<${argument.name()}${dots}>` : `[${argument.name()}${dots}]`;
  });
  return [command.name(), ...words].join(" ");
}

/** A command and all below it. */
export function allCommands(command: Command): Command[] {
  return [command, ...command.commands.flatMap(allCommands)];
}
