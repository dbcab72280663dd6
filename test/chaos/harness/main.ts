import { spawnSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { seeded } from "../../support/seeded.js";
import { type Episode, runEpisode } from "./episode.js";
import { isFailure, reportOf, type RowReport, tableOf } from "./report.js";
import { rows as allRows } from "./rows/all.js";
import { stageOf } from "./stages.js";

const { values } = parseArgs({
  options: {
    seed: { type: "string" },
    minutes: { type: "string" },
    rows: { type: "string" },
    all: { type: "boolean" },
    out: { type: "string", default: ".cache/chaos" },
  },
});
const seed = Number(values.seed ?? Math.floor(Math.random() * 2 ** 30));
const say = (text: string) => process.stdout.write(`${text}\n`);
const version = spawnSync("redis-server", ["--version"]).stdout.toString().split(" ")[2] ?? "";
say(`seed ${seed}, Node ${process.version}, Redis ${version}`);

const wanted = values.rows?.split(",").map(Number);
const chosen = allRows.filter(({ row }) => wanted === undefined || wanted.includes(row));
const able = chosen.filter((row) => {
  const reason = row.lacks?.();
  if (reason !== undefined) say(`NOT RUN: row ${row.row} (${row.name}): ${reason}`);
  return reason === undefined;
});

// Each row by itself, in an order from the seed, again and again until the time is up.
const random = seeded(seed);
const endMs = performance.now() + Number(values.minutes ?? 0) * 60_000;
const episodes = new Map<number, Episode[]>();
const failed = new Map<number, string>();
do {
  const order = able.map((row) => ({ row, at: random(), seed: Math.floor(random() * 2 ** 30) }));
  if (values.minutes !== undefined && values.all !== true) order.sort((a, b) => a.at - b.at);
  for (const { row, seed: own } of order) {
    if (performance.now() > endMs && values.minutes !== undefined && values.all !== true) break;
    const startMs = performance.now();
    try {
      const episode = await runEpisode({ stage: () => stageOf(row), rows: [row], seed: own });
      episodes.set(row.row, [...(episodes.get(row.row) ?? []), episode]);
      const { counts, violations } = episode.verdict;
      const took = ((performance.now() - startMs) / 1_000).toFixed(1);
      say(
        `row ${row.row}, ${row.name}: ${counts.accepted} accepted, ${counts.lost} lost, ${violations.length} violations, ${took} s`,
      );
      for (const { invariant, what, evidence } of violations.slice(0, 5))
        say(`  ${invariant}: ${what} ${JSON.stringify(evidence).slice(0, 600)}`);
    } catch (error) {
      failed.set(row.row, error instanceof Error ? error.message : String(error));
      say(`row ${row.row}, ${row.name}: could not be run: ${failed.get(row.row)}`);
    }
  }
} while (performance.now() < endMs);

const reports: RowReport[] = able.flatMap((row) => {
  const own = episodes.get(row.row);
  return own === undefined ? [] : [reportOf(row, own)];
});
say(`\n${tableOf(reports)}`);
mkdirSync(values.out, { recursive: true });
const file = join(values.out, `chaos-${seed}.json`);
writeFileSync(
  file,
  JSON.stringify({ seed, node: process.version, redis: version, reports, failed: [...failed] }, null, 2),
);
say(`\n${file}`);
process.exitCode = reports.some(isFailure) || failed.size > 0 ? 1 : 0;
