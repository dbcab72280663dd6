import ansis from "ansis";
import { Command } from "commander";
import { count, counted } from "../../core/counting.js";
import { groupStatuses } from "../../deadletter/group-state.js";
import type { FailureGroup, FailureGroups } from "../../deadletter/index.js";
import type { QueueInfo } from "../../index.js";
import { type StorageFlags, teaching, withStorage } from "../flags.js";
import { note, print, printJson } from "../output.js";
import { numbers } from "../queue/view.js";
import { table } from "../table.js";
import { groupListLines, trend } from "./group-view.js";
import { growthJson, growthLines } from "./growth-view.js";
import { withDeadLetters } from "./open.js";

/** How many of the largest are named. */
const most = 5;

export function statsCommand(): Command {
  const command = new Command("stats")
    .summary("dead letters in figures: by queue, type, reason and status")
    .description(
      "Dead letters in figures: how many, how many within the last hour, by queue, type, reason and status.",
    );
  return teaching(withStorage(command), ["holdfast dlq stats", "holdfast dlq stats --json"]).action(
    async (flags: StorageFlags) =>
      withDeadLetters(flags, async ({ broker, letters }) => {
        const [queues, found, growth] = await Promise.all([letters.queues(), letters.groups(), letters.growth()]);
        if (flags.json === true) await printJson({ ...figures(queues, found), growth: growth.map(growthJson) });
        else await print(...lines(queues, found, broker.clock.nowMs()), ...growthLines(growth));
        const worst = found.groups[0];
        if (flags.json !== true && worst !== undefined) note("", `Next: holdfast dlq groups ${worst.fingerprint}`);
      }),
  );
}

function figures(queues: readonly QueueInfo[], { groups, unindexed }: FailureGroups) {
  const sum = (of: (group: FailureGroup) => number) => groups.reduce((all, group) => all + of(group), 0);
  return {
    dead: queues.reduce((all, { counts }) => all + counts.archived, 0),
    lastHour: sum(({ lastHour }) => lastHour),
    hourBefore: sum(({ hourBefore }) => hourBefore),
    unindexed,
    groups: groups.length,
    statuses: Object.fromEntries(
      groupStatuses.map((status) => [status, groups.filter((group) => group.status === status).length]),
    ),
    queues: queues.map(({ name, counts }) => ({ name, dead: counts.archived })),
    types: largest(groups, ({ types }) => types),
    reasons: largest(groups, ({ reasons }) => reasons),
  };
}

/** A group of several types counts for each: nearly all have one. */
function largest(groups: readonly FailureGroup[], namesOf: (group: FailureGroup) => readonly string[]) {
  const sums = new Map<string, number>();
  for (const group of groups) for (const name of namesOf(group)) sums.set(name, (sums.get(name) ?? 0) + group.count);
  return Array.from(sums, ([name, dead]) => ({ name, dead })).toSorted((a, b) => b.dead - a.dead);
}

function lines(queues: readonly QueueInfo[], found: FailureGroups, nowMs: number): string[] {
  const all = figures(queues, found);
  if (all.dead === 0) return ["No dead letters."];
  const statuses = groupStatuses.filter((status) => all.statuses[status]! > 0);
  const rows = (head: string, list: readonly { readonly name: string; readonly dead: number }[]) =>
    table(
      [
        { head, cell: ({ name }: { readonly name: string }) => (name === "" ? "(unknown)" : name), min: 10 },
        numbers<{ readonly dead: number; readonly name: string }>("DEAD", ({ dead }) => dead),
      ],
      list.slice(0, most),
    );
  return [
    `${ansis.bold(count(all.dead))} dead ${all.dead === 1 ? "letter" : "letters"} of ${counted(all.groups, "cause")}; in the last hour ${trend(all)}, in the hour before ${count(all.hourBefore)}`,
    ...(statuses.length === 0 ? [] : [`Causes: ${statuses.map((one) => `${all.statuses[one]} ${one}`).join(", ")}`]),
    ...(all.unindexed === 0 ? [] : [`${count(all.unindexed)} are in no group yet`]),
    "",
    ...rows(
      "QUEUE",
      all.queues.toSorted((a, b) => b.dead - a.dead),
    ),
    "",
    ...rows("TYPE", all.types),
    "",
    ...rows("REASON", all.reasons),
    "",
    ...groupListLines(found.groups.slice(0, most), nowMs),
  ];
}
