import { Argument, Command, Option } from "commander";
import type { FailureGroups, GroupStatus } from "../../deadletter/index.js";
import { groupStatuses } from "../../deadletter/group-state.js";
import { count } from "../../core/counting.js";
import { invalidOption, shown } from "../../core/errors.js";
import { type StorageFlags, teaching, wholeNumber, withStorage, WordOption } from "../flags.js";
import { taskJson } from "../json-shapes.js";
import { note, print, printJson } from "../output.js";
import { groupJson, groupLines, groupListLines } from "./group-view.js";
import { withDeadLetters } from "./open.js";

interface Flags extends StorageFlags {
  readonly queue?: string;
  readonly status?: GroupStatus;
  readonly limit: number;
}

export const fingerprintArgument = () => new Argument("<FINGERPRINT>", "of the group, as `dlq groups` tells it");

export function groupsCommand(): Command {
  const command = new Command("groups")
    .summary("dead letters by cause, in all queues; or one cause in full")
    .description(
      "Dead letters by their cause, all queues together: how many, how many within the last hour, and when it was last " +
        "seen. With a fingerprint: all that is known of it, and its last dead letters.",
    )
    .argument("[FINGERPRINT]", "one group in full")
    .addOption(new Option("-q, --queue <QUEUE>", "of this queue only"))
    .addOption(
      new WordOption("-s, --status <STATUS>", groupStatuses.join(", "), groupStatuses).argParser((word) => {
        if (groupStatuses.includes(word as GroupStatus)) return word as GroupStatus;
        throw invalidOption("--status", `must be one of ${groupStatuses.join(", ")}, got ${shown(word)}`);
      }),
    )
    .option("--limit <N>", "groups, or dead letters of the one, to show", wholeNumber("--limit", 1, 500), 20);
  return teaching(withStorage(command), [
    "holdfast dlq groups",
    "holdfast dlq groups v1:97f04c1ae3ca089d",
    "holdfast dlq groups --status regressed --json",
  ]).action(async (fingerprint: string | undefined, flags: Flags) =>
    withDeadLetters(flags, async ({ broker, letters }) => {
      const nowMs = broker.clock.nowMs();
      if (fingerprint !== undefined) {
        const group = await letters.group(fingerprint);
        const limit = Math.min(flags.limit, 500);
        const { items } = await letters.groupTasks(fingerprint, { limit, backwards: true });
        if (flags.json === true) await printJson({ ...groupJson(group), tasks: items.map(taskJson) });
        else await print(...groupLines(group, items, nowMs));
        return;
      }
      const { queue, status } = flags;
      const found = await letters.groups({
        ...(queue === undefined ? {} : { queues: [queue] }),
        ...(status === undefined ? {} : { status }),
      });
      await printGroups(found, flags, nowMs);
    }),
  );
}

async function printGroups({ groups, unindexed }: FailureGroups, flags: Flags, nowMs: number): Promise<void> {
  if (flags.json === true) {
    await printJson({ groups: groups.map(groupJson), unindexed });
    return;
  }
  const some = groups.slice(0, flags.limit);
  if (some.length === 0) note(flags.status === undefined ? "No dead letters." : `No group is ${flags.status}.`);
  else await print(...groupListLines(some, nowMs));
  const more = groups.length - some.length;
  if (more > 0) note("", `${count(more)} more: --limit ${Math.min(500, groups.length)}`);
  if (unindexed > 0) note("", `${count(unindexed)} dead letters are in no group yet; workers put them there.`);
  if (some[0] !== undefined) note("", `Next: holdfast dlq groups ${some[0].fingerprint}`);
}
