import { Command } from "commander";
import { count } from "../../core/counting.js";
import { conflictExitCode } from "../exit-codes.js";
import { type ActFlags, type StorageFlags, teaching, withActing, withStorage } from "../flags.js";
import type { Duration } from "../../index.js";
import { note, print, printJson } from "../output.js";
import { untilStopped } from "../stopping.js";
import { actOf, withStorageOpen } from "../storage.js";
import { span } from "../times.js";
import { begunJson, begunLines, replicaLines, standingJson, standingLines } from "./view.js";

export function maintenanceCommand(): Command {
  return new Command("maintenance")
    .summary("work on Redis itself: hold tasks back, fail over, go on")
    .description(
      "Work on Redis itself without losing a task: queues take none and start none, a replica becomes the master, queues go on.",
    )
    .addCommand(beginCommand())
    .addCommand(failoverCommand())
    .addCommand(endCommand())
    .addCommand(showCommand());
}

function beginCommand(): Command {
  const command = new Command("begin")
    .summary("hold tasks back, and wait for what runs and for the replicas")
    .description(
      "All queues take no tasks, which producers put into their spools or wait with, and start none. Then waits for what runs, and until every replica has all that was written.",
    )
    .option("--for <TIME>", "so long at the most; then queues go on by themselves (15m)")
    .option("--drain <TIME>", "wait so long for handlers that run (30s)");
  return teaching(
    withActing(command),
    ['holdfast maintenance begin --reason "Redis 7.4" --for 30m', "holdfast maintenance begin --json | jq -e .ready"],
    "Exit code 4: not all is ready in time, and maintenance goes on: begin again, or end it. Go programs do not start tasks either, but go on enqueueing: only the failover itself stops those.",
  ).action(async (flags: ActFlags & { for?: Duration; drain?: Duration }) =>
    withStorageOpen(flags, async ({ broker, inspector }) => {
      const act = await actOf(flags, inspector);
      const begun = await untilStopped((signal) =>
        inspector.beginMaintenance({ ...act, for: flags.for, drain: flags.drain, signal }),
      );
      if (flags.json === true) await printJson(begunJson(begun));
      else await print(...begunLines(begun, broker.clock.nowMs()));
      if (!begun.ready) process.exitCode ||= conflictExitCode;
    }),
  );
}

function failoverCommand(): Command {
  const command = new Command("failover")
    .summary("make a replica the master, and lose nothing")
    .description(
      "Have the Sentinels make a replica the master: nobody can write, Go programs included, until every replica has what the master has and it follows the new one.",
    )
    .option("--within <TIME>", "Redis may be frozen for so long at the most (15s)");
  return teaching(
    withActing(command),
    ["holdfast maintenance failover --url 'redis-sentinel://s1,s2,s3?master=tasks'"],
    "For Redis Cluster, and for a replica without Sentinels, it says what to type: there Redis itself waits for equal offsets.",
  ).action(async (flags: ActFlags & { within?: Duration }) =>
    withStorageOpen(flags, async ({ inspector }) => {
      const done = await inspector.failOver({ ...(await actOf(flags, inspector)), within: flags.within });
      if (flags.json === true) await printJson(done);
      else {
        await print(
          `the master is ${done.to}, and has all that ${done.from} had (${count(done.offset)} bytes written)`,
          `nobody could write for ${span(done.frozenMs)}`,
        );
      }
    }),
  );
}

function endCommand(): Command {
  const command = new Command("end")
    .summary("queues go on, and spools empty themselves")
    .description(
      "All queues take tasks and start them again, and spools empty themselves. Then looks at the replicas.",
    );
  return teaching(withActing(command), ["holdfast maintenance end"]).action(async (flags: ActFlags) =>
    withStorageOpen(flags, async ({ inspector }) => {
      const ended = await inspector.endMaintenance(await actOf(flags, inspector));
      if (flags.json === true) await printJson(ended);
      else {
        if (ended.queues.length === 0) note("No queue stood still: nobody had begun, or the time was over.");
        else await print(`${count(ended.queues.length)} queues go on`);
        await print(...replicaLines(ended.servers));
      }
    }),
  );
}

function showCommand(): Command {
  const command = new Command("show")
    .summary("which queues stand still, until when and why")
    .description("Which queues stand still, until when, who began it and why.");
  return teaching(withStorage(command), ["holdfast maintenance show"]).action(async (flags: StorageFlags) =>
    withStorageOpen(flags, async ({ broker, inspector }) => {
      const standing = await inspector.maintenance();
      if (flags.json === true) await printJson(standing.map(standingJson));
      else if (standing.length === 0) note("No maintenance.");
      else await print(...standingLines(standing, broker.clock.nowMs()));
    }),
  );
}
