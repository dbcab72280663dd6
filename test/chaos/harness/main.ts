import { spawnSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { seeded } from "../../support/seeded.js";
import { type Episode, runEpisode } from "./episode.js";
import { pageOf } from "./page.js";
import { isFailure, type NotRun, reportOf, tableOf } from "./report.js";
import { rows as allRows } from "./rows/all.js";
import { stageOf } from "./stages.js";

const { values } = parseArgs({
  options: {
    seed: { type: "string" },
    minutes: { type: "string" },
    rows: { type: "string" },
    all: { type: "boolean" },
    spool: { type: "boolean" },
    hold: { type: "string" },
    rate: { type: "string" },
    out: { type: "string", default: ".cache/chaos" },
  },
});
/** `npm run chaos -- [--seed n] [--minutes m] [--rows 1,2,3] [--spool] [--all] [--hold seconds] [--rate calls a second]`; docs/operate/chaos.md says more. */
const seed = Number(values.seed ?? Math.floor(Math.random() * 2 ** 30));
const say = (text: string) => process.stdout.write(`${text}\n`);
const version = spawnSync("redis-server", ["--version"]).stdout.toString().split(" ")[2]?.slice(2) ?? "";
say(`seed ${seed}, Node ${process.version}, Redis ${version}`);

const wanted = values.rows?.split(",").map(Number);
const holdMs = values.hold === undefined ? undefined : Number(values.hold) * 1_000;
/** Of each of the two producers. */
const perSecond = values.rate === undefined ? undefined : Number(values.rate) / 2;
const notRun: NotRun[] = [];
const able = allRows
  .filter(({ row }) => wanted === undefined || wanted.includes(row))
  .filter((row) => {
    const reason = row.lacks?.();
    if (reason !== undefined) notRun.push({ row: row.row, name: row.name, reason });
    return reason === undefined;
  })
  .map((row) => (holdMs === undefined ? row : { ...row, holdMs }));
for (const { row, name, reason } of notRun) say(`NOT RUN: row ${row}, ${name}: ${reason}`);

/** What loses tasks without a spool runs without and with one; the others as they ask for, or as they are told to. */
const variants = able.flatMap((row) => {
  if (row.spool !== undefined || values.spool === true) return [{ row, spool: row.spool ?? {} }];
  return row.loses === undefined
    ? [{ row, spool: undefined }]
    : [
        { row, spool: undefined },
        { row, spool: {} },
      ];
});

const random = seeded(seed);
const endMs = performance.now() + Number(values.minutes ?? 0) * 60_000;
const episodes = new Map<(typeof variants)[number], Episode[]>();
const failed: NotRun[] = [];
do {
  const order = variants.map((variant) => ({ variant, at: random(), own: Math.floor(random() * 2 ** 30) }));
  for (const { variant, own } of order.toSorted((a, b) => a.at - b.at)) {
    if (values.all !== true && values.minutes !== undefined && performance.now() > endMs) break;
    const { row, spool } = variant;
    const fault = `${row.name}${spool !== undefined ? ", with a spool" : ""}`;
    const name = `row ${row.row}, ${fault}`;
    const startMs = performance.now();
    try {
      const stage = (folder: string) => stageOf(row, folder);
      const episode = await runEpisode({ stage, rows: [row], seed: own, spool, perSecond });
      episodes.set(variant, [...(episodes.get(variant) ?? []), episode]);
      const { counts, violations } = episode.verdict;
      const took = ((performance.now() - startMs) / 1_000).toFixed(1);
      say(`${name}: ${counts.accepted} accepted, ${counts.lost} lost, ${violations.length} violations, ${took} s`);
      for (const { invariant, what, evidence } of violations.slice(0, 5))
        say(`  ${invariant}: ${what} ${JSON.stringify(evidence).slice(0, 600)}`);
    } catch (error) {
      const reason = (error instanceof Error ? error.message : String(error)).split("\n")[0]!;
      failed.push({ row: row.row, name: fault, reason });
      say(`COULD NOT BE RUN: ${name}: ${reason}`);
    }
  }
} while (performance.now() < endMs);

const reports = variants.flatMap((variant) => {
  const own = episodes.get(variant);
  return own === undefined ? [] : [reportOf(variant.row, variant.spool !== undefined, own)];
});
const shown = variants.flatMap((variant) => episodes.get(variant)?.slice(0, 1) ?? []);
say(`\n${tableOf(reports, [...notRun, ...failed])}\n`);
mkdirSync(values.out, { recursive: true });
const file = join(values.out, `chaos-${seed}`);
const about = { seed, node: process.version, redis: version };
writeFileSync(`${file}.json`, JSON.stringify({ ...about, reports, notRun, failed }, null, 2));
writeFileSync(`${file}.html`, pageOf(about, reports, shown, [...notRun, ...failed]));
say(`${file}.json, ${file}.html`);
process.exitCode = reports.some(isFailure) || failed.length > 0 ? 1 : 0;
