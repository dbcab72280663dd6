import ansis from "ansis";
import { Command } from "commander";
import type { SeenAct } from "../../ops/audit/look.js";
import { type StorageFlags, queueArgument, teaching, wholeNumber, withStorage } from "../flags.js";
import { note, print, printJson } from "../output.js";
import { withStorageOpen } from "../storage.js";
import { type Column, table } from "../table.js";
import { columns as terminalColumns, startOf, widthOf } from "../terminal.js";
import { iso } from "../times.js";

export function lsCommand(): Command {
  const command = new Command("ls")
    .summary("what was done last, by whom and why")
    .description("What was done by hand, the last first: in all queues and beyond them, or in one queue.")
    .addArgument(queueArgument())
    .option("--limit <N>", "so many at the most (30)", wholeNumber("--limit", 1, 1_000));
  return teaching(
    withStorage(command),
    ["holdfast audit ls", "holdfast audit ls email --json | jq '.[] | select(.verb == \"delete\")'"],
    "Storage keeps about the last 10,000 acts of each queue; what is sealed stays in the sealed log and its exports.",
  ).action(async (queue: string | undefined, { limit = 30, ...flags }: StorageFlags & { limit?: number }) =>
    withStorageOpen(flags, async ({ broker }) => {
      const { lastActs } = await import("../../ops/audit/look.js");
      const acts = await lastActs(broker.audit, limit, queue);
      if (flags.json === true) await printJson(acts.map(actJson));
      else if (acts.length === 0) note("Nothing was done by hand.");
      else await print(...actLines(acts));
    }),
  );
}

/** Who, why and what have a line of their own where they would be cut to nothing. */
function actLines(acts: readonly SeenAct[]): string[] {
  const beside = table([...columns, ...said, sealedColumn], acts, Number.POSITIVE_INFINITY);
  const width = terminalColumns();
  if (beside.every((line) => widthOf(ansis.strip(line)) <= width)) return beside;
  const [head = "", ...rows] = table([...columns, sealedColumn], acts, width);
  const below = acts.map(({ actor, reason, what }) => [actor, reason, what].filter((text) => text !== ""));
  return [head, ...rows.flatMap((row, n) => [row, `  ${ansis.dim(startOf(below[n]!.join(", "), width - 2))}`])];
}

const columns: readonly Column<SeenAct>[] = [
  { head: "TIME (UTC)", cell: ({ atMs }) => (iso(atMs) ?? "").slice(0, 19).replace("T", " ") },
  { head: "QUEUE", cell: ({ log }) => log, min: 6 },
  { head: "ACT", cell: ({ verb }) => verb, min: 6 },
  { head: "TASKS", cell: ({ count }) => (count === 0 ? "" : String(count)), align: "right", rank: 1 },
];
const said: readonly Column<SeenAct>[] = [
  { head: "WHAT", cell: ({ what }) => what },
  { head: "WHO", cell: ({ actor }) => actor },
  { head: "WHY", cell: ({ reason }) => reason },
];
const sealedColumn: Column<SeenAct> = {
  head: "SEALED",
  cell: ({ sealed }) => (sealed ? "yes" : "no"),
  style: (text, { sealed }) => (sealed ? text : ansis.yellow(text)),
};

const actJson = ({ log, number, atMs, verb, what, count, actor, reason, requestId, sealed }: SeenAct) => ({
  queue: log === "" ? null : log,
  number: number ?? null,
  at: iso(atMs),
  verb,
  what,
  count,
  actor,
  reason,
  requestId,
  sealed,
});
