import { Command } from "commander";
import ansis from "ansis";
import type { AlertInfo } from "../../ops/index.js";
import { type StorageFlags, teaching, withStorage } from "../flags.js";
import { note, print, printJson } from "../output.js";
import { withStorageOpen } from "../storage.js";
import { type Column, table } from "../table.js";
import { iso, span } from "../times.js";

interface Flags extends StorageFlags {
  readonly all?: true;
}

export function lsCommand(): Command {
  const command = new Command("ls")
    .summary("alerts that fire, or are about to")
    .description("Alerts that fire, and those whose condition has not held for long enough yet.")
    .option("--all", "also those that are over");
  return teaching(
    withStorage(command),
    ["holdfast alerts ls", "holdfast alerts ls --all --json | jq '.[].rule'"],
    "A holdfast monitor has to run: it judges, and remembers what it found with the queues.",
  ).action(async (flags: Flags) =>
    withStorageOpen(flags, async ({ broker }) => {
      const { listAlerts } = await import("../../ops/index.js");
      const alerts = (await listAlerts(broker)).filter(({ state }) => flags.all === true || state !== "resolved");
      const nowMs = broker.clock.nowMs();
      if (flags.json === true) await printJson(alerts.map(alertJson));
      else if (alerts.length === 0) note("No alert fires.");
      else {
        const isAllSent = alerts.every(({ undelivered }) => undelivered === 0);
        await print(
          ...table(
            columnsAt(nowMs).filter((column) => column !== unsent || !isAllSent),
            alerts,
          ),
        );
      }
    }),
  );
}

function alertJson({ sinceMs, severity, ...rest }: AlertInfo) {
  return { ...rest, severity: severity ?? null, since: iso(sinceMs) };
}

const colours = { critical: ansis.red, warning: ansis.yellow, info: ansis.blue } as const;

const unsent: Column<AlertInfo> = {
  head: "UNSENT",
  cell: ({ undelivered }) => (undelivered === 0 ? "" : String(undelivered)),
  align: "right",
  rank: 1,
};
const columnsAt = (nowMs: number): Column<AlertInfo>[] => [
  {
    head: "STATE",
    cell: ({ state, severity }) => severity ?? state,
    style: (text, { severity }) => (severity === undefined ? ansis.dim(text) : colours[severity](text)),
  },
  { head: "ALERT", cell: ({ rule }) => rule },
  { head: "WHERE", cell: ({ labels }) => Object.values(labels).join(" ") || "storage", min: 10 },
  { head: "VALUE", cell: ({ value }) => value, align: "right" },
  { head: "SINCE", cell: ({ sinceMs }) => span(Math.max(0, nowMs - sinceMs)), align: "right" },
  unsent,
];
