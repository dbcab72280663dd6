import { Command } from "commander";
import type { OutageRecord } from "../../broker/outage.js";
import { HoldfastError } from "../../core/errors.js";
import { type Duration, toMs } from "../../core/duration.js";
import { printable } from "../../core/printable.js";
import { OutageFiles } from "../../embedded/spool/outage-files.js";
import { outageMarkdown } from "../../inspector/outage-markdown.js";
import { type Outage, outagesFrom } from "../../inspector/outages.js";
import { type StorageFlags, teaching, withStorage } from "../flags.js";
import { note, print, printJson } from "../output.js";
import { withStorageOpen } from "../storage.js";
import { wrapped } from "../terminal.js";
import { iso } from "../times.js";

interface ReportFlags extends StorageFlags {
  readonly since: string;
  readonly spool?: readonly string[];
}

export function outageCommand(): Command {
  return new Command("outage")
    .summary("what happened while Redis was away")
    .description("What happened while Redis was away, or lost data.")
    .addCommand(reportCommand());
}

function reportCommand(): Command {
  const command = new Command("report")
    .summary("since when, how long, what was delayed, doubled, lost; in Markdown")
    .description(
      "Reports outages, the last one first, in Markdown: a message for stakeholders to fill in, since when and how long, tasks accepted, spooled, delayed, run twice and possibly lost, and why.",
    )
    .option("--since <DURATION>", "those that ended, or go on, within it", "7d")
    .option("--spool <DIRECTORY...>", "records in a spool's directory, too; enough while Redis is away");
  return teaching(
    withStorage(command),
    [
      "holdfast outage report > outage.md",
      "holdfast outage report --since 24h --json | jq '.[0].lost'",
      "holdfast outage report --spool /var/lib/shop/spool",
    ],
    "Clients and workers write what they saw into Redis once it is back, and those with a spool at once into its directory. Without an outage it says so and exits with 0.",
  ).action(async (flags: ReportFlags) => {
    const sinceMs = toMs(flags.since as Duration, "--since");
    const local = await Promise.all((flags.spool ?? []).map((directory) => new OutageFiles(directory).readOutages()));
    const { records, nowMs } = await stored(flags);
    const outages = outagesFrom([...newest([...local.flat(), ...records])]).filter(
      ({ endedAtMs }) => (endedAtMs ?? nowMs) >= nowMs - sinceMs,
    );
    if (flags.json === true) await printJson(outages.map(outageJson));
    else if (outages.length === 0) note(`No outage is on record in the last ${printable(flags.since)}.`);
    else await print(...outageMarkdown(outages).trimEnd().split("\n").flatMap(fitted));
  });
}

/** As wide as the terminal; a line that is broken goes on as the part of the text that it is. */
function fitted(line: string): string[] {
  const [, mark = "", text = line] = /^([>-]) (.*)/.exec(line) ?? [];
  return wrapped(text, mark, mark === "-" ? "  " : mark);
}

/** Where Redis is away, what lies in the spools is all there is. */
async function stored(flags: ReportFlags): Promise<{ records: readonly OutageRecord[]; nowMs: number }> {
  return withStorageOpen(flags, async ({ broker }) => {
    const nowMs = broker.clock.nowMs();
    try {
      return { records: (await broker.readOutages?.()) ?? [], nowMs };
    } catch (error) {
      if (flags.spool === undefined || !HoldfastError.is(error, "BROKER_UNAVAILABLE")) throw error;
      note(`${printable(broker.label)} cannot be reached: this is what the spools know.`);
      return { records: [], nowMs };
    }
  });
}

/** Of each record as it was written last. */
function newest(records: readonly OutageRecord[]): Iterable<OutageRecord> {
  const byId = new Map<string, OutageRecord>();
  for (const record of records) {
    const other = byId.get(record.id);
    if (other === undefined || other.updatedAtMs < record.updatedAtMs) byId.set(record.id, record);
  }
  return byId.values();
}

function outageJson({ beganAtMs, endedAtMs, change, ...rest }: Outage) {
  return {
    beganAt: iso(beganAtMs),
    endedAt: iso(endedAtMs),
    durationMs: endedAtMs === undefined ? null : endedAtMs - beganAtMs,
    ...rest,
    change: change === undefined ? null : changeJson(change),
  };
}

const changeJson = ({ keptUntilMs, ...change }: NonNullable<Outage["change"]>) => ({
  ...change,
  keptUntil: iso(keptUntilMs),
});
